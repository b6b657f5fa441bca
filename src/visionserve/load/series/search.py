"""The highest rate that holds a latency objective.

Probe at growing rates until one fails, halve the gap between the last that held and the first that failed until
it is within the precision, then confirm with a long run. The same seed gives every probe the same schedule,
stretched, so neighbouring rates differ by their rate and not by their luck.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from visionserve.load.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PRECISION = 0.05
GROWTH = 1.5
HEADROOM = 0.7  # how much of its highest rate a machine should be planned to carry
_MOST_PROBES = 24
_MOST_CONFIRMATIONS = 5


class GeneratorTooSlow(LoadError):
    """The generator could not send what was asked, so nothing can be said of the server."""


@dataclass(frozen=True)
class Probe:
    """One rate, tried.

    Attributes:
        rate: Requests per second.
        holds: Whether the objective was met.
        confirming: Whether this was a long run.
        why: What was measured, in a few words.
        valid: Whether the run may be believed; only a confirming run's counts against it.
    """

    rate: float
    holds: bool
    confirming: bool
    why: str = ""
    valid: bool = True


@dataclass(frozen=True)
class Found:
    """A search's result.

    Attributes:
        rate: The highest rate that held in a long run; 0 when none did.
        probes: Everything that was tried, in order.
    """

    rate: float
    probes: tuple[Probe, ...]


def search(measure: Callable[[float, bool], Probe], start: float, precision: float = PRECISION) -> Found:
    """Find the highest rate that holds.

    Args:
        measure: Tries a rate, with a long run if its second argument is true.
        start: Where to begin, in requests per second; the nearer to the answer, the fewer probes.
        precision: The relative gap at which halving ends.

    Raises:
        LoadError: No end was found within a sane number of probes.
    """
    probes: list[Probe] = []

    def holds(rate: float, *, confirming: bool = False) -> bool:
        if len(probes) >= _MOST_PROBES:
            raise LoadError(f"no answer after {_MOST_PROBES} probes, the last at {probes[-1].rate:g} requests/s")
        probes.append(measure(rate, confirming))
        return probes[-1].holds

    low, high = _bracket(holds, start)
    while high / low > 1 + precision:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if holds(middle) else (low, middle)
    for rate in _downwards(low, precision):
        # A run that may not be believed says nothing against the rate: it gets a second chance.
        if holds(rate, confirming=True) or (not probes[-1].valid and holds(rate, confirming=True)):
            return Found(rate, tuple(probes))
    return Found(0.0, tuple(probes))


def machines(needed: float, rate: float) -> int:
    """How many machines carry `needed` requests/s with headroom, and one more for when one fails."""
    return math.ceil(needed / (rate * HEADROOM)) + 1


def _bracket(holds: Callable[[float], bool], start: float) -> tuple[float, float]:
    """A rate that holds and a higher one that does not, found in growing steps."""
    step = GROWTH
    upwards = holds(start)
    near, far = start, start * step if upwards else start / step
    while holds(far) == upwards:
        step *= GROWTH
        near, far = far, far * step if upwards else far / step
    return (near, far) if upwards else (far, near)


def _downwards(rate: float, precision: float) -> Iterator[float]:
    """The rate, then lower ones in growing steps, for every long run that fails has cost its time."""
    return (rate / (1 + precision) ** (turn * (turn + 1) // 2) for turn in range(_MOST_CONFIRMATIONS))
