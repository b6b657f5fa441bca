"""Whether something grows while a constant load runs: memory, file handles, latency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from visionserve.load.judging import judgement, statistics
from visionserve.load.outcomes import Outcome

if TYPE_CHECKING:
    from visionserve.load.judging.statistics import Estimate, Floats
    from visionserve.load.runs import Run

_HOUR = 3600.0
_MEBIBYTE = 1 << 20
_PARTS = 5
_LEAST_CHANGE = 0.05  # of the whole growth, from one part to the next
# The growth over the whole run that matters, as a share of the mean and in the unit: a slope can be certain and
# still too small to care about. Latency moves with the machine's other work; memory and handles should not.
_MATTERS = {"memory": (0.02, 4.0), "handles": (0.02, 2.0), "latency": (0.10, 1.0)}


@dataclass(frozen=True)
class Drift:
    """How one quantity moved during a run.

    Attributes:
        what: Its name, such as `worker 1 memory`.
        unit: Its unit.
        mean: Its mean.
        slope: Its change per hour, with the 95 % interval.
        change: The change over the measured time that the slope amounts to.
        grows: Whether it certainly grows, keeps doing so, and by an amount that matters.
        times: Seconds from the start of the measured time, `[n]`.
        values: The readings, `[n]`.
    """

    what: str
    unit: str
    mean: float
    slope: Estimate
    change: float
    grows: bool
    times: Floats
    values: Floats


def drifts(run: Run) -> list[Drift]:
    """The drift of everything that was recorded in a run's measured time."""
    judged = run.judge()
    start, end = judged.window.start, judged.window.end
    found = []
    for name, readings in run.processes.items():
        inside = readings[(readings[:, 0] >= start) & (readings[:, 0] <= end)]
        times = inside[:, 0] - start
        found.append(drift("memory", f"{name} memory", "MiB", times, inside[:, 1] / _MEBIBYTE, run.seconds))
        found.append(drift("handles", f"{name} file handles", "", times, inside[:, 2], run.seconds))
    measured = judgement.measured(run.samples)
    latency = judgement.latencies(measured)
    counted = measured[measured["outcome"] != Outcome.REFUSED_BAD]
    times = counted["scheduled"] / 1e9 - start
    answered = np.isfinite(latency)
    found.append(drift("latency", "latency", "ms", times[answered], latency[answered], run.seconds))
    return found


def _keeps_growing(values: Floats) -> bool:
    """Whether a quantity goes on growing: a step, such as a few connections more, touches two of four changes."""
    levels = np.array([part.mean() for part in np.array_split(values, _PARTS)])
    changes = np.diff(levels)
    return int((changes > _LEAST_CHANGE * (levels[-1] - levels[0])).sum()) >= _PARTS - 2


def drift(kind: str, what: str, unit: str, times: Floats, values: Floats, seconds: float) -> Drift:
    """The drift of one quantity.

    Args:
        kind: `memory`, `handles` or `latency`, which decides what growth matters.
        what: The quantity's name.
        unit: Its unit.
        times: Seconds, `[n]` ascending.
        values: `[n]`.
        seconds: The time over which growth is told.
    """
    slope = statistics.slope_estimate(times, values)
    mean = float(values.mean()) if len(values) else float("nan")
    change = slope.value * seconds
    share, least = _MATTERS[kind]
    per_hour = statistics.Estimate(slope.value * _HOUR, slope.low * _HOUR, slope.high * _HOUR)
    grows = bool(slope.low > 0 and change > max(share * mean, least) and _keeps_growing(values))
    return Drift(what, unit, mean, per_hour, change, grows, times, values)
