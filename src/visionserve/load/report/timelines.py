"""The charts of a report whose horizontal axis is time."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from visionserve.load.judging import judgement, statistics
from visionserve.load.outcomes import RIGHT, Outcome
from visionserve.report.charts import Chart
from visionserve.report.widths import LOW, both

if TYPE_CHECKING:
    from visionserve.load.judging.soak import Drift
    from visionserve.load.runs import Run

_MINUTES = 600  # seconds; the axis of a longer run counts minutes


def timeline(run: Run) -> Markup:
    """Rate, latency and errors, second by second or in as many equal steps as can be seen."""
    judged = run.judge()
    seconds = judged.window.seconds
    steps = int(min(60, max(3, seconds)))
    unit, divisor = ("minutes", 60.0) if seconds > _MINUTES else ("seconds", 1.0)
    edges = np.linspace(0, seconds, steps + 1)
    middle = [float(value) for value in (edges[:-1] + edges[1:]) / 2 / divisor]
    measured = judgement.measured(run.samples)
    scheduled = measured["scheduled"] / 1e9 - judged.window.start
    answered = run.samples["answered"] / 1e9 - judged.window.start
    right = np.isin(run.samples["outcome"], list(RIGHT))
    wrong = ~np.isin(measured["outcome"], list(RIGHT))
    per_second = steps / seconds
    offered = np.histogram(scheduled, edges)[0] * per_second
    served = np.histogram(answered[right], edges)[0] * per_second
    failed = np.histogram(scheduled[wrong], edges)[0]
    counted = measured["outcome"] != Outcome.REFUSED_BAD
    latency, due = judgement.latencies(measured), scheduled[counted]
    parts = [latency[(due >= low) & (due < high)] for low, high in itertools.pairwise(edges)]
    lines = {q: [statistics.percentile(part, q) for part in parts] for q in (50, 99)}
    finite = [value for line in lines.values() for value in line if np.isfinite(value)]

    def draw(width: int) -> list[Chart]:
        x = (0.0, seconds / divisor)
        rate = Chart(
            "Rate over time",
            width,
            LOW,
            x,
            (0, float(max(offered.max(), served.max(), 1)) * 1.15),
            unit,
            "requests/s",
        )
        if run.plan.open_loop:
            rate.line(middle, list(offered), "d", "sent")
        rate.line(middle, list(served), "a", "answered right")
        late = Chart("Latency over time", width, LOW, x, (0, max([*finite, 1.0]) * 1.15), unit, "latency, ms")
        late.line(middle, lines[50], "a", "p50")
        late.line(middle, lines[99], "b", "p99")
        errors = Chart(
            "Errors over time",
            width,
            130,
            x,
            (0, max(4.0, float(failed.max()) * 1.2)),
            unit,
            "failed or wrong",
        )
        errors.bars(list(edges / divisor), list(failed), "limit")
        return [rate, late, errors]

    return both(draw)


def drift(found: Drift) -> Markup:
    """One quantity over time with its fitted line."""
    groups = np.array_split(np.arange(len(found.times)), min(120, len(found.times)))
    unit, divisor = ("minutes", 60.0) if found.times.max(initial=0) > _MINUTES else ("seconds", 1.0)
    xs = [float(found.times[group].mean()) / divisor for group in groups if len(group)]
    ys = [float(found.values[group].mean()) for group in groups if len(group)]
    if len(xs) < 3:
        return Markup("")
    middle = float(found.times.mean()) / divisor
    fitted = [found.mean + found.slope.value / 3600 * divisor * (x - middle) for x in (xs[0], xs[-1])]
    low, high = min([*ys, *fitted]), max([*ys, *fitted])
    margin = max(0.15 * (high - low), 0.02 * abs(high), 0.5)

    def draw(width: int) -> list[Chart]:
        chart = Chart(
            f"{found.what} over time",
            width,
            LOW,
            (xs[0], xs[-1]),
            (max(0.0, low - margin), high + margin),
            unit,
            f"{found.what}{', ' * bool(found.unit)}{found.unit}",
        )
        chart.line(xs, ys, "a")
        chart.line([xs[0], xs[-1]], fitted, "b" if found.grows else "ideal")
        return [chart]

    return both(draw)
