"""The time that a slot takes for a request is told when clients wait, and only then."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from visionserve.server.edge import pace

if TYPE_CHECKING:
    from visionserve.server.edge.control import Control


class Told:
    """What an edge says it has served, and what it is told."""

    def __init__(self) -> None:
        self.states = {"a": "up", "b": "up", "c": "down"}
        self.served, self.queue = 0, 0
        self.seconds: list[float] = []

    def figures(self) -> Any:
        return SimpleNamespace(slots={"a": SimpleNamespace(served=self.served)}, queue=self.queue)

    def correct(self, _figures: object) -> None: ...

    def set_service_time(self, seconds: float) -> None:
        self.seconds.append(seconds)


def test_it_is_measured_while_a_queue_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    edge, measured = Told(), pace.Pace()
    for at, served, queue in ((2, 100, 0), (4, 200, 5), (4.5, 225, 5), (6, 300, 5), (8, 300, 5), (10, 5, 9)):
        clock[0], edge.served, edge.queue = at, served, queue
        measured.look(cast("Control", edge))
    # 50 requests a second by two slots; nothing while nobody waits, nothing was served, or HAProxy is another.
    assert edge.seconds == [pytest.approx(0.04)] * 2
