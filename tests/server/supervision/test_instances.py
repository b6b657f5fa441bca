"""Instances without workers are set aside while others have some."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, cast

import pytest

from visionserve.server.edge.configuration import Slot
from visionserve.server.errors import ServerError
from visionserve.server.supervision import instances
from visionserve.server.supervision.instances import Instance, Instances

if TYPE_CHECKING:
    from visionserve.server.supervision.setup import Setup


class Told:
    """An edge's control that keeps what it is told."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str]] = []
        self.states = {"a": "up", "b": "up"}
        self.under_way = {"a": 0, "b": 0}

    def sessions(self, slot: str) -> int:
        return self.under_way[slot]

    def __getattr__(self, what: str) -> Any:
        def tell(slot: str) -> None:
            self.all.append((what, slot))
            self.states[slot] = {"give_up": "drain"}.get(what, what)

        return tell


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def serving(told: Told) -> Instances:
    """Two instances, each with a worker."""
    made = Instances([], cast("Setup", None), lambda: cast("Any", told), lambda: None)
    made._all = [
        Instance(
            Slot(name, Path(name)), cast("Any", None), {}, cast("Any", SimpleNamespace(is_dead=False, reason=None))
        )
        for name in "ab"
    ]
    return made


def dies(serving: Instances, slot: str, *, dead: bool = True) -> None:
    """The instance in a slot has no worker any more, or has one again."""
    (found,) = [each for each in serving if each.slot.name == slot]
    cast("Any", found.watch).is_dead = dead
    serving.lead()


def test_one_without_a_worker_is_aside_until_it_has_one(serving: Instances, told: Told) -> None:
    serving.lead()
    assert told.all == []
    dies(serving, "a")
    dies(serving, "a")  # once is enough
    assert told.all == [("give_up", "a")]
    assert serving.open_slots == ["b"]
    dies(serving, "a", dead=False)
    assert told.all == [("give_up", "a"), ("up", "a")]
    assert serving.open_slots == ["a", "b"]


def test_where_none_has_a_worker_clients_wait_for_all(serving: Instances, told: Told) -> None:
    dies(serving, "a")
    dies(serving, "b")
    assert told.all == [("give_up", "a"), ("up", "a")]
    dies(serving, "a", dead=False)
    assert told.all[2:] == [("give_up", "b")]


def test_one_that_leaves_is_not_led_back_to(serving: Instances, told: Told) -> None:
    first = next(iter(serving))
    dies(serving, "a")
    first.is_leaving = True
    dies(serving, "a", dead=False)
    assert told.all == [("give_up", "a")]
    assert serving.open_slots == ["b"]


@pytest.mark.parametrize("way", ["end", "retire"])
def test_an_edge_that_died_just_now_keeps_no_instance_alive(way: str, serving: Instances) -> None:
    class Dead:
        states: ClassVar = {"a": "up", "b": "up"}

        def __getattr__(self, _what: str) -> Any:
            def refuse(_slot: str) -> None:
                raise ServerError("HAProxy does not answer")

            return refuse

    ended: list[bool] = []
    serving._control = lambda: cast("Any", Dead())
    first = next(iter(serving))
    first.server = cast("Any", SimpleNamespace(stop=lambda *, at_once: ended.append(at_once)))
    cast("Any", first.watch).end = lambda: None
    if way == "end":
        serving.end(first)
    else:
        serving.retire(first, 0.2)
    assert serving.open_slots == ["b"]
    assert ended == [True]
    assert first not in serving


def test_what_the_edge_did_not_hear_it_is_told_again(serving: Instances, told: Told) -> None:
    told.states["a"] = "down"
    serving.lead()
    serving.lead()
    assert told.all == [("up", "a")]
    next(iter(serving)).is_leaving = True
    told.states["a"] = "down"
    serving.lead()
    assert told.all == [("up", "a")]


@pytest.mark.parametrize("odd", [RuntimeError("odd"), ServerError("no")])
def test_one_that_leaves_is_ended_whatever_else_goes_wrong(odd: Exception, serving: Instances, told: Told) -> None:
    def look() -> None:
        raise odd

    serving._look = look
    told.under_way["a"] = 1
    ended: list[bool] = []
    first = next(iter(serving))
    first.server = cast("Any", SimpleNamespace(stop=lambda *, at_once: ended.append(at_once)))
    cast("Any", first.watch).end = lambda: None
    serving.retire(first, 5)
    assert ended == [True]
    assert first not in serving


def test_one_that_is_ill_is_passed_over_while_another_is_well(serving: Instances, told: Told) -> None:
    first, second = serving
    cast("Any", first.watch).reason = "it does not answer"
    serving.lead()
    assert (told.all, serving.open_slots) == ([("give_up", "a")], ["b"])
    # Better one that is ill than one without a worker.
    cast("Any", second.watch).is_dead = True
    serving.lead()
    assert serving.open_slots == ["a"]
    cast("Any", second.watch).is_dead = False
    cast("Any", second.watch).reason = "it does not answer either"
    serving.lead()
    assert serving.open_slots == ["a", "b"]


def test_a_slot_that_the_edge_still_takes_for_one_in_use_is_taken_from_it(serving: Instances, told: Told) -> None:
    told.states["c"] = "up"
    serving.lead()
    serving.lead()
    assert told.all == [("down", "c")]


class Deaf:
    """A control that hears nothing, a few times."""

    def __init__(self, times: int) -> None:
        self.times, self.told = times, 0

    def up(self, _slot: str) -> None:
        self.told += 1
        if self.told <= self.times:
            raise ServerError("HAProxy does not answer")


def test_an_edge_that_does_not_hear_of_a_new_one_is_told_again(
    serving: Instances, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    serving._look = lambda: looks.append(1)
    deaf = Deaf(3)
    serving._control = lambda: cast("Any", deaf)
    serving._open(next(iter(serving)))
    assert (deaf.told, len(looks)) == (4, 3)
    monkeypatch.setattr(instances, "_HEARD", 0.0)
    deaf.told = 0
    with pytest.raises(ServerError):
        serving._open(next(iter(serving)))
