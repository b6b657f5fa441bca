"""Constant load from several clients, and what became of every request."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from types import TracebackType

_TIMEOUT = 60.0  # seconds
_PAUSE = 0.05  # seconds after a refusal: less than Retry-After says, so that none is hidden


@dataclass(frozen=True)
class Asked:
    """One request.

    Attributes:
        start: When it was sent, in seconds of the monotonic clock.
        end: When its outcome was known.
        outcome: `answered`, `refused` (503 that says when to come again), or what was lost, in a word.
    """

    start: float
    end: float
    outcome: str


@dataclass
class Traffic:
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
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

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
            start = time.monotonic()
            try:
                connection.request("POST", self.path, self.picture, self.headers)
                response = connection.getresponse()
                body = response.read()
            except (OSError, http.client.HTTPException) as error:
                outcome = type(error).__name__
                connection.close()
            else:
                outcome = self._outcome(response, body)
            self.asked.append(Asked(start, time.monotonic(), outcome))
            if outcome != "answered":
                self._ended.wait(_PAUSE)
        connection.close()

    def _outcome(self, response: http.client.HTTPResponse, body: bytes) -> str:
        if response.status == 200:
            return "answered" if body.startswith(self.expected) else f"wrong {body[:40]!r}"
        if response.status == 503 and int(response.headers.get("Retry-After", "0")) >= 1:
            return "refused"
        return f"{response.status} {body[:120]!r}"

    def wait_for(self, answers: int, timeout: float = 60.0) -> None:
        """Wait until there are so many more answers."""
        wanted, end = self.count("answered") + answers, time.monotonic() + timeout
        while self.count("answered") < wanted:
            assert time.monotonic() < end, f"{answers} more answers did not come: {self}"
            time.sleep(0.02)

    def count(self, outcome: str) -> int:
        """How many requests ended so."""
        return sum(each.outcome == outcome for each in list(self.asked))

    @property
    def lost(self) -> dict[str, int]:
        """The requests that were neither answered rightly nor refused with a time to come again."""
        return dict(
            Counter(each.outcome for each in list(self.asked) if each.outcome not in ("answered", "refused"))
        )

    def full_again(self, fault: float, share: float = 0.8) -> float:
        """Seconds from a fault until the rate of answers over half a second was that before it again."""
        ends = sorted(each.end for each in self.asked if each.outcome == "answered")
        before = [end for end in ends if fault - 2.0 <= end < fault]
        rate = len(before) / min(2.0, fault - ends[0]) if before else 0.0
        after = [end for end in ends if end >= fault]
        for index, start in enumerate(after):
            within = sum(end - start < 0.5 for end in after[index : index + 1 + int(rate)])
            if within >= share * rate * 0.5:
                return start - fault
        return float("inf")

    def __str__(self) -> str:
        longest = max((each.end - each.start for each in self.asked), default=0.0)
        return (
            f"sent {len(self.asked)}, answered {self.count('answered')}, refused with Retry-After"
            f" {self.count('refused')}, lost {sum(self.lost.values())}{self.lost or ''}, longest {longest:.2f} s"
        )
