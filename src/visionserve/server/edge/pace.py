"""How fast instances answer when they are busy: what tells refused clients when to come again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from visionserve.server.edge.control import Control

_EVERY = 1.0  # seconds


class Pace:
    """What has been served between two looks."""

    def __init__(self) -> None:
        self._at, self._served = time.monotonic(), -1

    def look(self, control: Control) -> None:
        """Tell the edge how long a slot takes for a request, if requests are waiting; at most once a second.

        What it thinks otherwise than it was told is corrected by the way.

        Raises:
            ServerError: HAProxy does not answer.
        """
        now = time.monotonic()
        elapsed = now - self._at
        if elapsed < _EVERY:
            return
        figures = control.figures()
        control.correct(figures)
        served = sum(slot.served for slot in figures.slots.values())
        answered, self._at, self._served = served - self._served, now, served
        slots = sum(state == "up" for state in control.states.values())
        # Without a queue the clients set the pace; a count that is less than before is another HAProxy's.
        if figures.queue and 0 < answered < served:
            control.set_service_time(slots * elapsed / answered)
