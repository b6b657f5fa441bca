"""Instances are replaced one after the other; where one cannot be had, all serve what they served before."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from visionserve.server.errors import ServerError
from visionserve.server.host import memory
from visionserve.server.supervision.replicas import Replicas

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from visionserve.server.supervision.instances import Instance

OLD, NEW = {"quick": Path("archives-1/quick.mar")}, {"quick": Path("archives-2/quick.mar")}


class One:
    """An instance, which is only itself."""

    def __init__(self, archives: Mapping[str, Path]) -> None:
        self.archives, self.slot = archives, SimpleNamespace(name="a")
        self.watch = SimpleNamespace(is_dead=False)
        self.server = SimpleNamespace(process=SimpleNamespace(pid=0))


class Started:
    """Instances that start at once, or not at all, and how many there were at the least."""

    def __init__(self) -> None:
        self.all: list[Any] = []
        self.fails: Callable[[Mapping[str, Path]], bool] = lambda _archives: False
        self.fewest = 100
        self.ended: list[Any] = []
        self.retired: list[Any] = []

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self.all))

    def __len__(self) -> int:
        return len(self.all)

    def __contains__(self, instance: Any) -> bool:
        return instance in self.all

    def start(self, archives: Mapping[str, Path], ready: Callable[[str, float], object]) -> Any:
        if self.fails(archives):
            raise ServerError("no")
        ready("quick", 1.0)
        instance = One(archives)
        self.all.append(instance)
        return instance

    def retire(self, instance: Any, _seconds: float) -> None:
        self.retired.append(instance)
        self._end(instance)

    def end(self, instance: Any) -> None:
        if instance in self.all:
            self.ended.append(instance)
            self._end(instance)

    def _end(self, instance: Any) -> None:
        self.all.remove(instance)
        self.fewest = min(self.fewest, len(self.all))

    @property
    def served(self) -> list[Mapping[str, Path]]:
        return [each.archives for each in self.all]


@pytest.fixture
def started() -> Started:
    return Started()


@pytest.fixture
def replicas(started: Started) -> Replicas:
    made = Replicas(cast("Any", started), 3, OLD, 1.0, lambda _instance, _seconds: None)
    made.fill()
    return made


def silent(_name: str, _seconds: float) -> None: ...


@pytest.mark.parametrize(("gap", "fewest"), [(False, 3), (True, 2)])
def test_each_is_replaced_and_no_more_than_one_is_lacking(
    gap: bool, fewest: int, started: Started, replicas: Replicas
) -> None:
    replicas.update(NEW, silent, gap=gap)
    assert started.served == [NEW] * 3
    assert started.fewest == fewest
    assert replicas.used == set(NEW.values())


@pytest.mark.parametrize("gap", [False, True])
@pytest.mark.parametrize("proven", [0, 1, 2])
def test_where_one_cannot_be_had_all_serve_what_they_did(
    proven: int, gap: bool, started: Started, replicas: Replicas
) -> None:
    started.fails = lambda archives: archives == NEW and started.served.count(NEW) == proven
    with pytest.raises(ServerError):
        replicas.update(NEW, silent, gap=gap)
    assert started.served == [OLD] * 3
    assert started.fewest >= 2
    assert replicas.archives == OLD
    assert replicas.used == set(OLD.values())
    assert replicas.trouble == ""


def test_what_cannot_be_put_back_now_is_tried_again(
    started: Started, replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    started.fails = lambda _archives: started.served.count(NEW) == 1
    with pytest.raises(ServerError):
        replicas.update(NEW, silent, gap=False)
    assert started.served.count(NEW) == 1
    assert replicas.trouble == "no"
    started.fails = lambda _archives: False
    monkeypatch.setattr("time.monotonic", lambda: float("inf"))
    replicas.mend()
    assert started.served == [OLD] * 3
    assert replicas.trouble == ""


@pytest.mark.parametrize("wrong", [False, True])
def test_one_that_is_ill_is_replaced_once_and_its_cause_counted(
    wrong: bool, started: Started, replicas: Replicas
) -> None:
    ill = cast("Instance", started.all[0])
    for _ in range(2):
        (replicas.lose if wrong else replicas.report)(ill, "red")
    # One that answers wrongly does so to nobody while another starts.
    assert (ill in started) == (not wrong)
    replicas.mend()
    assert len(started) == 3
    assert ill not in started
    assert started.ended == [ill]  # no client waits for what it may never answer
    assert started.fewest == (2 if wrong else 3)
    assert (replicas.causes, replicas.trouble) == ({"red": 1}, "")


@pytest.mark.parametrize("dead", [False, True])
def test_one_that_is_ill_stays_while_no_other_can_be_had_unless_it_answers_nobody(
    dead: bool, started: Started, replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    ill = cast("Instance", started.all[0])
    ill.watch.is_dead = dead
    started.fails = lambda _archives: True
    replicas.report(ill, "slow")
    replicas.mend()
    assert (ill in started) == (not dead)
    assert replicas.trouble == ("no" if dead else "no; instance a: slow")
    tried = len(started.all)
    started.fails = lambda _archives: False
    replicas.mend()  # its time has not come
    assert len(started.all) == tried
    monkeypatch.setattr("time.monotonic", lambda: float("inf"))
    replicas.mend()
    assert (ill in started, len(started), replicas.trouble) == (False, 3, "")


def test_what_is_lost_anew_is_replaced_whatever_failed_before(started: Started, replicas: Replicas) -> None:
    started.fails = lambda _archives: True
    replicas.lose(started.all[0], "Java ended")
    replicas.mend()
    replicas.lose(started.all[0], "Java ended")
    started.fails = lambda _archives: False
    replicas.mend()
    assert len(started) == 3


class Odd(Exception):
    """Nobody thought of it."""


@pytest.mark.parametrize("error", [ServerError(""), Odd()])
def test_any_error_is_told_and_tried_again(
    error: Exception, started: Started, replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_archives: Mapping[str, Path]) -> bool:
        raise error

    started.fails = fail
    replicas.lose(started.all[0], "Java ended")
    replicas.mend()
    told, lost = replicas.trouble.split("; instance a ended at ")
    assert told == repr(error)
    assert lost.endswith(", for Java ended; another one is to take its place")
    with pytest.raises(type(error)):
        replicas.update(NEW, silent, gap=False)
    assert replicas.archives == OLD
    started.fails = lambda _archives: False
    monkeypatch.setattr("time.monotonic", lambda: float("inf"))
    replicas.mend()
    assert started.served == [OLD] * 3


@pytest.mark.parametrize("fails", [0, 1, 2])
def test_a_start_that_fails_at_its_last_step_leaves_no_more_than_are_wanted(fails: int, started: Started) -> None:
    steps = iter([*[False] * 3, *[False] * fails, True])

    def last_step(_instance: Any, _seconds: float) -> None:
        if next(steps, False):
            raise ServerError("no room")

    replicas = Replicas(cast("Any", started), 3, OLD, 1.0, last_step)
    replicas.fill()
    with pytest.raises(ServerError):
        replicas.update(NEW, silent, gap=False)
    assert started.served == [OLD] * 3
    replicas.update(NEW, silent, gap=False)
    assert started.served == [NEW] * 3


def test_instances_that_end_as_fast_as_others_are_started_hold_nothing_up(
    started: Started, replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory for one less than are wanted: no start fails, and there are never enough."""
    starting, starts = started.start, []

    def start(archives: Mapping[str, Path], ready: Callable[[str, float], object]) -> Any:
        starts.append(archives)
        assert len(starts) < 20
        if started.all:
            replicas.lose(started.all[0], "Java ended with code -9")
        return starting(archives, ready)

    monkeypatch.setattr(started, "start", start)
    replicas.lose(started.all[0], "Java ended with code -9")
    replicas.mend()
    assert "end as fast as others are started" in replicas.trouble
    assert "Java ended with code -9" in replicas.trouble


def test_what_was_lost_is_told_until_another_one_is_there(started: Started, replicas: Replicas) -> None:
    replicas.lose(started.all[0], "Java ended with code -9")
    assert "instance a ended at " in replicas.trouble
    assert "Java ended with code -9; another one is to take its place" in replicas.trouble
    replicas.mend()
    assert replicas.trouble == ""


@pytest.mark.parametrize("is_dead", [True, False])
def test_without_memory_for_two_one_that_answers_stays(
    is_dead: bool, started: Started, replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    ill = started.all[0]
    ill.watch.is_dead = is_dead

    def full(_pids: object) -> None:
        raise ServerError("one more instance needs 900 MB, and 100 MB are free")

    monkeypatch.setattr(memory, "require_room", full)
    replicas.report(ill, "red")
    replicas.mend()
    assert (ill in started) == (not is_dead)
    assert len(started) == 3
    assert ("100 MB are free" in replicas.trouble) == (not is_dead)
