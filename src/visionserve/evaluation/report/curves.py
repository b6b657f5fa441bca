"""The charts of probabilities and of latency."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from visionserve.report.charts import Chart, number
from visionserve.report.widths import HEIGHT, LOW, both

if TYPE_CHECKING:
    import numpy.typing as npt
    from markupsafe import Markup

    from visionserve.evaluation.judging.reliability import Reliability

_STEPS = 40
_STRETCHED = 20  # the axis is logarithmic if the longest latency is more than this many times the shortest


def reliability(found: Reliability) -> Markup:
    """How often answers are right against how sure they are, and how many there are of each."""
    sure = [100 * one.confidence for one in found.bins]
    right = [100 * one.right.value for one in found.bins]
    ends = [[100 * end for end in one.right.interval] for one in found.bins]
    tips = [
        f"{100 * one.low:.0f} to {100 * one.high:.0f} %: {one.right.count} of {one.right.total} are right"
        for one in found.bins
    ]

    def draw(width: int) -> list[Chart]:
        percent = (0.0, 100.0)
        curve = Chart(
            "How often answers are right against their probability",
            width,
            HEIGHT,
            percent,
            percent,
            "probability of the top class, %",
            "of these answers right, %",
        )
        curve.line([0, 100], [0, 100], "ideal")
        curve.whiskers(sure, [low for low, _ in ends], [high for _, high in ends], "a")
        curve.line(sure, right, "a")
        curve.dots(sure, right, "a", tips)
        pictures = Chart(
            "Pictures by the probability of their top class",
            width,
            LOW,
            percent,
            (0, 1.15 * max(one.right.total for one in found.bins)),
            "probability of the top class, %",
            "pictures",
        )
        for one in found.bins:
            pictures.bars([100 * one.low, 100 * one.high], [one.right.total], "a")
        return [curve, pictures]

    return both(draw)


def latency(milliseconds: npt.NDArray[np.float64]) -> Markup:
    """How many pictures were answered in which time."""
    low, high = float(milliseconds.min()) * 0.9, float(milliseconds.max()) * 1.1
    stretched = high > _STRETCHED * low > 0
    edges = (np.geomspace if stretched else np.linspace)(low, high, _STEPS + 1)
    counts = np.histogram(milliseconds, edges)[0]

    def draw(width: int) -> list[Chart]:
        chart = Chart(
            "Distribution of latency",
            width,
            LOW,
            (float(edges[0]), float(edges[-1])),
            (0, 1.25 * float(counts.max())),
            "latency, ms",
            "pictures",
            log_x=stretched,
        )
        chart.bars(list(edges), list(counts), "a")
        for row, q in enumerate((50, 95, 99)):
            value = float(np.percentile(milliseconds, q))
            chart.vertical(value, f"p{q} {number(value)} ms", "quantile", row)
        return [chart]

    return both(draw)
