"""What nobody thought of ends nothing that is served."""

from __future__ import annotations

import os
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, cast

import pytest

from visionserve.project import Project
from visionserve.server.errors import ServerError
from visionserve.server.host import memory
from visionserve.server.orders import giving
from visionserve.server.run import record
from visionserve.server.settings.serving import Serving
from visionserve.server.supervision import loop
from visionserve.server.supervision.loop import Ending, Loop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def made(folder: Path) -> Loop:
    """A loop without an edge, a warden or an instance."""
    parts = cast("Any", SimpleNamespace(folder=SimpleNamespace(orders=folder), warden=None, properties=None))
    return Loop(Project(folder), Serving(), parts, parts, {}, [], parts, lambda: 0)


def test_an_error_that_nobody_thought_of_ends_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loop, "_AFTER_ERROR", 0.0)
    served = made(tmp_path)
    looks = iter([KeyError("scur"), Ending()])

    def look() -> None:
        raise next(looks)

    monkeypatch.setattr(served, "look", look)
    with pytest.raises(Ending):
        served.run()
    assert "KeyError('scur')" in caplog.text
    assert "Traceback" in caplog.text  # in the log; a terminal shows the line alone


class Edge:
    """An edge that nobody hears for a while."""

    def __init__(self) -> None:
        self.lost = True
        self.told: list[bool] = []

    def revive(self, _up: object) -> None:
        if self.lost:
            raise ServerError("HAProxy does not answer")

    def tell(self, *, is_ready: bool) -> None:
        self.told.append(is_ready)

    def describe(self) -> None: ...


class Looked:
    """One instance, and what is done about it."""

    open_slots: ClassVar[list[str]] = ["a"]

    def __init__(self) -> None:
        watch = SimpleNamespace(reason=None, is_wrong=False, is_whole=True)
        self.one = SimpleNamespace(
            server=SimpleNamespace(process=SimpleNamespace(poll=lambda: None), logs="logs/a"),
            watch=watch,
            is_leaving=False,
        )
        self.done: list[tuple[str, str]] = []

    def __iter__(self) -> Iterator[Any]:
        return iter([self.one])

    def __len__(self) -> int:
        return 1

    def lead(self) -> None: ...

    def lose(self, _one: object, reason: str) -> None:
        self.done.append(("lose", reason))

    def report(self, _one: object, reason: str) -> None:
        self.done.append(("report", reason))


@pytest.fixture
def looking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Loop, Edge, Looked]:
    served = made(tmp_path)
    edge, looked = Edge(), Looked()
    for name, part in (
        ("_warden", SimpleNamespace(revive=lambda: None)),
        ("_front", edge),
        ("instances", looked),
        ("_replicas", looked),
    ):
        monkeypatch.setattr(served, name, part, raising=False)
    return served, edge, looked


@pytest.mark.parametrize(
    ("found", "done"),
    [
        ({"poll": 1}, ("lose", "Java ended with code 1")),
        ({"reason": "red", "is_wrong": True}, ("lose", "red")),
        ({"reason": "red", "is_wrong": True, "is_leaving": True}, ("lose", "red")),
        ({"reason": "slow"}, ("report", "slow")),
        ({"reason": "slow", "is_leaving": True}, None),
        ({}, None),
    ],
)
def test_instances_are_looked_at_whether_the_edge_is_there_or_not(
    found: dict[str, Any],
    done: tuple[str, str] | None,
    looking: tuple[Loop, Edge, Looked],
    caplog: pytest.LogCaptureFixture,
) -> None:
    served, edge, looked = looking
    looked.one.server.process.poll = lambda: found.get("poll")
    looked.one.watch.reason, looked.one.watch.is_wrong = found.get("reason"), found.get("is_wrong", False)
    looked.one.is_leaving = found.get("is_leaving", False)
    served.look()
    assert looked.done == ([done] if done else [])
    assert edge.told == []
    assert caplog.text.count("HAProxy does not answer") == 1
    served.look()  # it is not asked ten times a second
    assert caplog.text.count("HAProxy does not answer") == 1
    edge.lost, served._edge_at = False, 0.0
    served.look()
    assert edge.told == [True]


def test_a_record_that_cannot_be_written_is_written_later(
    looking: tuple[Loop, Edge, Looked], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, edge, _ = looking
    edge.lost = False
    running = record.Running("http://127.0.0.1:1", "unix:/x", {})
    served._announcement._unwritten = running
    wrote: list[record.Running] = []

    def write(_project: object, said: record.Running) -> None:
        if len(wrote) == 0:
            wrote.append(said)
            raise ServerError("no room left")
        wrote.append(said)

    monkeypatch.setattr(record, "write", write)
    served.look()
    served._edge_at = 0.0
    served.look()
    served.look()
    assert wrote == [running, running]


class Draining(Edge):
    """An edge that drains, and what it is asked for."""

    def __init__(self, *, waiting: bool) -> None:
        super().__init__()
        self.lost, self.waiting, self.seconds = False, waiting, -1.0

    def has_requests(self) -> bool:
        return self.waiting

    def drain(self, seconds: float, _go_on: object) -> None:
        self.seconds = seconds


@pytest.mark.parametrize(("waiting", "instances", "seconds"), [(True, 1, 30.0), (True, 0, 11.0), (False, 0, -1.0)])
def test_requests_that_wait_for_an_instance_are_not_cut_when_there_is_none(
    waiting: bool,
    instances: int,
    seconds: float,
    looking: tuple[Loop, Edge, Looked],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    served, _, _ = looking
    edge = Draining(waiting=waiting)
    monkeypatch.setattr(served, "_front", edge)
    monkeypatch.setattr(served, "instances", ["one"] * instances)
    served.drain()
    assert edge.seconds == seconds


def test_fewer_instances_than_are_wanted_are_not_ready(
    looking: tuple[Loop, Edge, Looked], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, edge, _ = looking
    edge.lost = False
    monkeypatch.setattr(served, "_settings", Serving(instances=2))
    served.look()
    assert edge.told == [False]


def test_orders_are_carried_out_whatever_looking_comes_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_AFTER_ERROR", 0.0)
    served = made(tmp_path)
    done: list[int] = []

    def look() -> None:
        if len(done) > 1:
            raise Ending
        raise KeyError("odd")

    monkeypatch.setattr(served, "look", look)
    monkeypatch.setattr(served, "_replicas", SimpleNamespace(mend=lambda: done.append(2)))
    served._events.put(lambda: done.append(1))
    with pytest.raises(Ending):
        served.run()
    assert done == [1, 2]


def test_keys_are_read_anew_whatever_else_is_under_way(
    looking: tuple[Loop, Edge, Looked], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, edge, _ = looking
    edge.lost = False
    read: list[int] = []
    monkeypatch.setattr(edge, "reload_keys", lambda: read.append(1), raising=False)
    told = list[dict[str, Any]]()
    ordering = threading.Thread(target=lambda: told.extend(served.obey({"order": giving.RELOAD_KEYS})))
    ordering.start()
    end = time.monotonic() + 10
    while not read:
        served.look()  # as it is called while an instance loads
        assert time.monotonic() < end
    ordering.join(10)
    assert not ordering.is_alive()


def test_it_looks_while_archives_are_copied(
    looking: tuple[Loop, Edge, Looked], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, _, _ = looking
    looks: list[float] = []

    def keep(_models: object) -> dict[str, Path]:
        end = time.monotonic() + 10
        while len(looks) < 3:  # a disk that is slow
            assert time.monotonic() < end
            time.sleep(0.01)
        raise ServerError("it has come to an end")

    monkeypatch.setattr(served, "_generations", SimpleNamespace(keep=keep))
    monkeypatch.setattr(served, "_replicas", SimpleNamespace(archives={}))
    monkeypatch.setattr(served, "look", lambda: looks.append(time.monotonic()))
    with pytest.raises(ServerError, match="come to an end"):
        served._reload([], lambda _document: None, gap=True)
    assert len(looks) >= 3


def test_a_reload_without_memory_for_two_touches_nothing(
    looking: tuple[Loop, Edge, Looked], monkeypatch: pytest.MonkeyPatch
) -> None:
    served, _, looked = looking
    monkeypatch.setattr(looked.one.server.process, "pid", os.getpid(), raising=False)
    monkeypatch.setattr(memory, "free", lambda: 0)
    monkeypatch.setattr(served, "_generations", None)  # is not asked
    with pytest.raises(ServerError, match="visionserve reload --gap"):
        served._reload([], lambda _document: None, gap=False)
