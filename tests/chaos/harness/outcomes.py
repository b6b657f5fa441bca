"""What became of requests."""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus

# A client's connection is cut, or nobody listens: what HAProxy's end does to who is there, and to who comes.
CUT = {"ConnectionResetError", "RemoteDisconnected", "BrokenPipeError", "IncompleteRead"}
NOBODY = "ConnectionRefusedError"
WRONG = "wrong "

_SHARE = 0.8  # of the rate before a fault
_STAYING = 5.0  # seconds for which the rate must stay
_ANSWERS = 10  # as many are expected in a window: fewer say nothing of a rate


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


def outcome_of(status: int, retry_after: str | None, body: bytes, expected: bytes) -> str:
    """What became of a request that was answered, in the words of `Asked.outcome`.

    Args:
        status: The HTTP status.
        retry_after: That header, if it was there.
        body: What was answered.
        expected: What a right answer begins with.
    """
    if status == HTTPStatus.OK:
        return "answered" if body.startswith(expected) else f"{WRONG}{body[:40]!r}"
    if status == HTTPStatus.SERVICE_UNAVAILABLE and int(retry_after or 0) >= 1:
        return "refused"
    return f"{status} {body[:120]!r}"


@dataclass
class Outcomes:
    """Requests, and how they ended.

    Attributes:
        asked: Each of them.
    """

    asked: list[Asked] = field(default_factory=list)

    def count(self, outcome: str) -> int:
        """How many requests ended so."""
        return sum(each.outcome == outcome for each in list(self.asked))

    @property
    def lost(self) -> dict[str, int]:
        """The requests that were neither answered rightly nor refused with a time to come again."""
        return dict(
            Counter(each.outcome for each in list(self.asked) if each.outcome not in ("answered", "refused"))
        )

    @property
    def cut(self) -> int:
        """How many of the lost requests were cut off."""
        return sum(map(self.count, CUT))

    @property
    def of_connections(self) -> int:
        """How many of the lost requests were cut off, or found no server."""
        return self.cut + self.count(NOBODY)

    @property
    def wrong(self) -> int:
        """How many of the lost requests were answered wrongly."""
        return sum(count for outcome, count in self.lost.items() if outcome.startswith(WRONG))

    def before_the_end(self) -> Outcomes:
        """The requests that were sent before the first that found no server: later ones nobody can answer."""
        gone = min(each.start for each in self.asked if each.outcome == NOBODY)
        return Outcomes([each for each in self.asked if each.start < gone])

    @property
    def longest(self) -> float:
        """Seconds of the longest request."""
        return max((each.end - each.start for each in list(self.asked)), default=0.0)

    def recovery(self, fault: float, done: float | None = None) -> float:
        """Seconds from a fault until answers came as fast as before it, and went on doing so.

        As fast is at least `_SHARE` of the rate of the two seconds before the fault, in each window that begins
        within `_STAYING` seconds. Infinity, if that did not come while there was load.

        Args:
            fault: When it began.
            done: When it had been done, if that took a while: what is well before then may not stay so.
        """
        ends = sorted(each.end for each in self.asked if each.outcome == "answered")
        before = [end for end in ends if fault - 2.0 <= end < fault]
        if not before:
            return float("inf")
        rate = len(before) / min(2.0, fault - ends[0])
        window = max(0.5, _ANSWERS / rate)
        last = max(each.start for each in self.asked) - window
        found, start = fault, fault
        while start < min(last, max(found, done or fault) + _STAYING):
            if bisect(ends, start + window) - bisect(ends, start) < _SHARE * rate * window:
                found = start + window
            start += window / 5
        return found - fault if found <= last else float("inf")

    def __str__(self) -> str:
        lost = f"{sum(self.lost.values())}{self.lost or ''}"
        return (
            f"sent {len(self.asked)}, answered {self.count('answered')}, refused with Retry-After"
            f" {self.count('refused')}, lost {lost}, longest {self.longest:.2f} s"
        )
