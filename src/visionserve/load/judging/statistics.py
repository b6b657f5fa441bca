"""Numbers with their uncertainty, from samples that depend on their neighbours.

Requests that wait in one queue are alike, so a thousand of them tell less than a thousand independent ones. How
much less is estimated by batch means: the spread of means over stretches of time against what independence would
give (Law, Simulation Modeling and Analysis, section 9.5.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

CONFIDENCE = 0.95
_BATCHES = 20
_FEWEST_PER_BATCH = 5


@dataclass(frozen=True)
class Estimate:
    """A value and the interval that holds the true one with 95 % confidence; infinite or NaN where unknown."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the interval's length."""
        return (self.high - self.low) / 2


NOTHING = Estimate(float("nan"), float("nan"), float("nan"))


def percentile(values: Floats, q: float) -> float:
    """The exact q-th percentile: the smallest value that at least q per cent of all do not exceed (nearest rank).

    Infinite values are requests that were never answered.
    """
    if len(values) == 0:
        return float("nan")
    rank = max(1, int(np.ceil(round(q / 100 * len(values), 9))))
    return float(np.partition(values, rank - 1)[rank - 1])


def percentile_estimate(values: Floats, q: float) -> Estimate:
    """A percentile with its distribution-free confidence interval.

    The number of samples below the true percentile is binomial, so two order statistics bracket it (Hahn and
    Meeker, Statistical Intervals, section 5.2); for dependent samples n is divided by `inflation`.

    Args:
        values: `[n]` in the order they were scheduled.
        q: In per cent.
    """
    if len(values) == 0:
        return NOTHING
    ordered = np.sort(values)
    count, share = len(ordered), q / 100
    value = percentile(values, q)
    effective = max(1, round(count / inflation((values > value).astype(np.float64))))
    low_rank = stats.binom.ppf((1 - CONFIDENCE) / 2, effective, share) / effective * count
    high_rank = (stats.binom.ppf((1 + CONFIDENCE) / 2, effective, share) + 1) / effective * count
    low = float(ordered[int(np.clip(np.floor(low_rank) - 1, 0, count - 1))]) if low_rank >= 1 else 0.0
    high = float(ordered[int(np.ceil(high_rank)) - 1]) if high_rank <= count else float("inf")
    return Estimate(value, low, high)


def inflation(values: Floats) -> float:
    """How many samples tell as much as one independent one; at least 1.

    Args:
        values: `[n]` in order.
    """
    size = len(values) // _BATCHES
    spread = values.var()
    if size < _FEWEST_PER_BATCH or spread == 0:
        return 1.0
    means = values[: size * _BATCHES].reshape(_BATCHES, size).mean(axis=1)
    return max(1.0, float(means.var(ddof=1) * size / spread))


def mean_estimate(values: Floats) -> Estimate:
    """A mean with its confidence interval by batch means; Student's t for the few batches."""
    if len(values) < 2:
        return NOTHING if len(values) == 0 else Estimate(float(values[0]), float("nan"), float("nan"))
    mean = float(values.mean())
    if not np.isfinite(mean):
        return Estimate(mean, float("nan"), float("nan"))
    error = float(values.std(ddof=1)) * float(np.sqrt(inflation(values) / len(values)))
    half = error * float(stats.t.ppf((1 + CONFIDENCE) / 2, min(len(values), _BATCHES) - 1))
    return Estimate(mean, mean - half, mean + half)


def rate_estimate(times: Floats, start: float, seconds: float) -> Estimate:
    """Events per second with its confidence interval, from the counts in equal stretches of time.

    Args:
        times: When the events happened, in seconds, in any order; those outside are not counted.
        start: Where the time begins.
        seconds: How long it is.
    """
    counts, _ = np.histogram(times, bins=_BATCHES, range=(start, start + seconds))
    per_second = mean_estimate(counts * _BATCHES / seconds)
    return Estimate(per_second.value, max(0.0, per_second.low), per_second.high)


def ratio_estimate(a: Estimate, b: Estimate) -> Estimate:
    """The ratio b / a with its interval, recovered from the two on the logarithmic scale.

    Lopsided and half-open intervals keep their form (Donner and Zou, Stat. Methods Med. Res. 21, 2012, "MOVER").
    """
    if not (a.value > 0 and b.value > 0 and np.isfinite(a.value) and np.isfinite(b.value)):
        return NOTHING
    below_a, above_a = _log_distances(a)
    below_b, above_b = _log_distances(b)
    ratio = b.value / a.value
    low, high = float(np.exp(-np.hypot(below_b, above_a))), float(np.exp(np.hypot(above_b, below_a)))
    return Estimate(ratio, ratio * low, ratio * high)


def _log_distances(estimate: Estimate) -> tuple[float, float]:
    """How far the interval reaches below and above the value, as logarithms of ratios."""
    below = np.log(estimate.value / estimate.low) if estimate.low > 0 else np.inf
    above = np.log(estimate.high / estimate.value) if np.isfinite(estimate.high) else np.inf
    return float(below), float(above)


def slope_estimate(times: Floats, values: Floats) -> Estimate:
    """The least-squares slope of values over time with its confidence interval.

    Neighbouring values depend on each other, so the line is fitted to the means of `_BATCHES` stretches.

    Args:
        times: `[n]` ascending.
        values: `[n]`.
    """
    groups = min(_BATCHES, len(values))
    if groups < 3:
        return NOTHING
    x = np.array([part.mean() for part in np.array_split(times, groups)])
    y = np.array([part.mean() for part in np.array_split(values, groups)])
    if np.ptp(y) == 0:
        return Estimate(0.0, 0.0, 0.0)
    fit = stats.linregress(x, y)
    half = float(fit.stderr) * float(stats.t.ppf((1 + CONFIDENCE) / 2, groups - 2))
    return Estimate(float(fit.slope), float(fit.slope) - half, float(fit.slope) + half)
