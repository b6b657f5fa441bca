"""What became of requests."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus

# A client's connection is cut, or nobody listens: what HAProxy's end does to who is there, and to who comes.
CUT = {"ConnectionResetError", "RemoteDisconnected", "BrokenPipeError", "IncompleteRead"}
NOBODY = "ConnectionRefusedError"
WRONG = "wrong "


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
        lost = f"{sum(self.lost.values())}{self.lost or ''}"
        return (
            f"sent {len(self.asked)}, answered {self.count('answered')}, refused with Retry-After"
            f" {self.count('refused')}, lost {lost}, longest {self.longest:.2f} s"
        )
