"""Large requests that take too long: HAProxy bounds the time between two bytes, and not that of all of them."""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING

from visionserve.server.edge import commands
from visionserve.server.errors import ServerError

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

BACKEND = "uploads"

_EVERY = 1.0  # seconds
_SESSION = re.compile(rf"^(0x[0-9a-f]+): .* src=(\S+) .* be={BACKEND} .* age=(\S+) ", re.MULTILINE)
_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


class Uploads:
    """Ends those that are under way for longer than they may.

    HAProxy's own age of a session may count from the answer before it on the same connection, so a request's time
    begins when it is first seen.

    Args:
        socket: Where HAProxy takes commands.
        seconds: How long a large request may take, its answer included.
    """

    def __init__(self, socket: Path, seconds: float) -> None:
        self._socket, self._seconds = socket, seconds
        self._seen: dict[tuple[str, str], float] = {}
        self._at = time.monotonic()

    def look(self) -> None:
        """End what is overdue; it looks at most once a second.

        Raises:
            ServerError: HAProxy does not answer.
        """
        now = time.monotonic()
        if now - self._at < _EVERY:
            return
        self._at = now
        rows = commands.table(commands.ask(self._socket, f"show stat {BACKEND} 2 -1"))
        if not rows or not rows[0]["scur"]:  # it was killed just then
            raise ServerError("HAProxy's statistics are cut short")
        if not int(rows[0]["scur"]):
            self._seen = {}
            return
        seen = {}
        for session, client, age in _SESSION.findall(commands.ask(self._socket, "show sess")):
            before = self._seen.get((session, client), now)
            # Another request of the same client may have taken an ended one's place.
            seen[session, client] = max(before, now - _seconds(age) - 1)
        for session, client in [key for key, since in seen.items() if now - since > self._seconds]:
            logger.warning("a request of %s is ended: it took longer than %g s", client, self._seconds)
            commands.ask(self._socket, f"shutdown session {session}")  # says so if it has just ended by itself
        self._seen = seen


def _seconds(age: str) -> int:
    """An age as HAProxy writes it, such as `2m5s`."""
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([dhms])", age))
