"""When requests are due: the same seed gives the same schedule."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

Arrivals = Literal["constant", "poisson"]


def times(kind: Arrivals, rate: float, seed: int, generator: int = 0, generators: int = 1) -> Iterator[float]:
    """When one generator's requests are due, in seconds from its start, without end.

    Several generators together send `rate`: independent Poisson streams add up to one, and constant streams
    are offset against each other. The unit-rate schedule depends on the seed only, so the same seed at another
    rate is the same schedule stretched, which takes noise out of a comparison of rates.

    Args:
        kind: Equal gaps, or exponentially distributed ones.
        rate: Requests per second of all generators together.
        seed: The schedule's seed.
        generator: Which of the generators this is, from 0.
        generators: How many share the rate.
    """
    if kind == "constant":
        return ((turn * generators + generator) / rate for turn in itertools.count())
    rng = random.Random(f"{seed}/{generator}")  # noqa: S311  # a schedule is no secret
    gaps = (rng.expovariate(1.0) * generators / rate for _ in itertools.count())
    return itertools.accumulate(gaps)
