"""Constant load from several clients, and what became of every request."""

from __future__ import annotations

import http.client
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.chaos.harness.outcomes import Asked, Outcomes, outcome_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

_TIMEOUT = 150.0  # seconds: more than the edge waits for an answer before it gives one itself
_PAUSE = 0.05  # seconds after a refusal: less than Retry-After says, so that none is hidden


@dataclass(kw_only=True)
class Traffic(Outcomes):
    """Clients that ask one after the other, each over a connection of its own, until they are told to stop.

    Args:
        url: Base URL of the server.
        path: What is asked.
        picture: The body.
        expected: What the answer must begin with.
        clients: How many.
        headers: Sent with each request.
    """

    url: str
    path: str
    picture: bytes
    expected: bytes
    clients: int = 8
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[int, float] = {}

    def __enter__(self) -> Traffic:
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(self.clients)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(2 * _TIMEOUT)

    def _ask(self) -> None:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=_TIMEOUT)
        while not self._ended.is_set():
            start = self._under_way[threading.get_ident()] = time.monotonic()
            try:
                connection.request("POST", self.path, self.picture, self.headers)
                response = connection.getresponse()
                body = response.read()
            except (OSError, http.client.HTTPException) as error:
                outcome = type(error).__name__
                connection.close()
            else:
                outcome = outcome_of(response.status, response.headers["Retry-After"], body, self.expected)
            with self._lock:
                self.asked.append(Asked(start, time.monotonic(), outcome))
            if outcome != "answered":
                self._ended.wait(_PAUSE)
        connection.close()
        del self._under_way[threading.get_ident()]

    def wait_for(self, more: int, outcome: str = "answered", timeout: float = 240.0) -> None:
        """Wait until so many more requests have ended so."""
        wanted, end = self.count(outcome) + more, time.monotonic() + timeout
        while self.count(outcome) < wanted:
            assert time.monotonic() < end, f"{more} more {outcome} did not come: {self}"
            time.sleep(0.02)

    def wait_for_all_before(self, moment: float, timeout: float = 2 * _TIMEOUT) -> None:
        """Wait until every request that was sent before a moment has ended."""
        end = time.monotonic() + timeout
        while min(list(self._under_way.values()), default=moment) < moment:
            assert time.monotonic() < end, f"a request does not end: {self}"
            time.sleep(0.02)

    def take(self) -> Outcomes:
        """What ended since this was last called; it is forgotten here, for counting all of an hour takes long."""
        with self._lock:
            taken, self.asked = self.asked, []
        return Outcomes(taken)
