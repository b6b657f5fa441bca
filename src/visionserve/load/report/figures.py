"""The charts of a report that show latency and throughput against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from visionserve.load.judging import judgement, statistics
from visionserve.report.charts import Chart, number
from visionserve.report.widths import HEIGHT, LOW, WIDE, both

if TYPE_CHECKING:
    from collections.abc import Sequence

    from visionserve.load.judging.statistics import Floats
    from visionserve.load.runs import Run

_SERIES = ("a", "b", "c", "d")
_BINS = 60
_STRETCHED = 20  # the axis is logarithmic if the longest latency is more than this many times the shortest


def saturation(rows: Sequence[dict[str, float]], bound: float | None, knee: float | None) -> Markup:
    """Offered rate against latency and goodput.

    Args:
        rows: By growing `rate`: `p50`, `p99` in ms with `p99_low` and `p99_high`, and `goodput` per second; of
            the `confirming` ones only the one that `holds` is marked.
        bound: The latency objective in ms.
        knee: The rate of the knee.
    """
    confirmed = [row for row in rows if row["confirming"] and row["holds"]]
    rows = [row for row in rows if not row["confirming"]]
    rates = [row["rate"] for row in rows]
    highest = max(rates) * 1.05
    finite = [row[key] for row in rows for key in ("p50", "p99") if np.isfinite(row[key])]
    top = max([*finite, (bound or 0) * 1.2]) * 1.3
    bottom = min([*finite, bound or np.inf]) / 1.4

    def draw(width: int) -> list[Chart]:
        latency = Chart(
            "Latency against the offered rate",
            width,
            HEIGHT,
            (0, highest),
            (bottom, top),
            "offered requests/s",
            "latency, ms",
            log_y=True,
        )
        p99 = [row["p99"] if np.isfinite(row["p99"]) else top for row in rows]
        latency.whiskers(rates, [row["p99_low"] for row in rows], [row["p99_high"] for row in rows], "b")
        latency.line(rates, [row["p50"] for row in rows], "a", "p50", dots=True)
        latency.line(rates, p99, "b", "p99", dots=True)
        if bound is not None:
            latency.horizontal(bound, f"bound {number(bound)} ms")
        goodput = Chart(
            "Goodput against the offered rate",
            width,
            LOW,
            (0, highest),
            (0, highest),
            "offered requests/s",
            "goodput, right answers in time/s",
        )
        goodput.line([0, highest], [0, highest], "ideal")
        goodput.line(rates, [row["goodput"] for row in rows], "c", dots=True)
        for row in confirmed:
            latency.dots([row["rate"]], [row["p99"]], "c", ["confirmed"], f"confirmed at {number(row['rate'])}/s")
        if knee is not None:
            latency.vertical(knee, "knee", "knee")
            goodput.vertical(knee, "knee", "knee")
        return [latency, goodput]

    return both(draw)


def distribution(runs: Sequence[Run], bound: float | None) -> Markup:
    """How many requests had which latency; several runs are drawn as their shares up to each latency."""
    series = [judgement.latencies(judgement.measured(run.samples)) for run in runs]
    finite = [values[np.isfinite(values)] for values in series]
    if not any(len(values) for values in finite):
        return Markup("")
    if len(runs) > 1:
        return _cumulative([run.name for run in runs], series, finite)
    values = finite[0]
    low, high = float(values.min()), float(max(np.quantile(values, 0.999) * 1.05, (bound or 0) * 1.1))
    stretched = high > _STRETCHED * low > 0
    edges = (np.geomspace if stretched else np.linspace)(low * 0.9, high, _BINS + 1)
    heights = np.histogram(np.minimum(values, high), edges)[0]

    def draw(width: int) -> list[Chart]:
        chart = Chart(
            "Distribution of latency",
            width,
            HEIGHT,
            (float(edges[0]), float(edges[-1])),
            (0, max(1.0, float(heights.max())) * 1.25),
            "latency, ms",
            "requests",
            log_x=stretched,
        )
        chart.bars(list(edges), list(heights), "a")
        for row, q in enumerate((50, 95, 99)):
            value = statistics.percentile(series[0], q)
            chart.vertical(value, f"p{q} {number(value)} ms", "quantile", row)
        if bound is not None:
            chart.vertical(bound, f"bound {number(bound)} ms", "limit", 3)
        return [chart]

    return both(draw)


def front(rows: Sequence[dict[str, float]], best: Sequence[int]) -> Markup:
    """Throughput against p99 of every point of a sweep, and the line of those that no other beats in both."""
    shown = [index for index, row in enumerate(rows) if np.isfinite(row["p99"])]
    if not shown:
        return Markup("")
    highest = max(rows[index]["throughput"] for index in shown) * 1.12
    latencies = [rows[index]["p99"] for index in shown]

    def draw(width: int) -> list[Chart]:
        chart = Chart(
            "Throughput against p99 latency",
            width,
            HEIGHT,
            (0, highest),
            (min(latencies) / 1.5, max(latencies) * 1.5),
            "right answers/s",
            "p99 latency, ms",
            log_y=True,
        )
        line = [index for index in best if index in shown]
        chart.line(
            [rows[i]["throughput"] for i in line], [rows[i]["p99"] for i in line], "c", "not beaten in both"
        )
        tips = [
            f"{rows[i]['number']:.0f}: {number(rows[i]['throughput'])}/s, p99 {number(rows[i]['p99'])} ms"
            for i in shown
        ]
        chart.dots([rows[i]["throughput"] for i in shown], latencies, "a", tips)
        for index in shown:
            chart.text(rows[index]["throughput"], rows[index]["p99"], f"{rows[index]['number']:.0f}")
        return [chart]

    return both(draw)


def _cumulative(names: Sequence[str], series: Sequence[Floats], finite: Sequence[Floats]) -> Markup:
    everything = np.concatenate(list(finite))
    low, high = float(everything.min()) * 0.9, float(np.quantile(everything, 0.999)) * 1.1
    xs = np.geomspace(max(low, 1e-3), high, 200)

    def draw(width: int) -> list[Chart]:
        chart = Chart(
            "Share of requests answered within each latency",
            width,
            HEIGHT,
            (float(xs[0]), float(xs[-1])),
            (0, 100),
            "latency, ms",
            "answered within, %",
            log_x=True,
        )
        for index, (name, values) in enumerate(zip(names, series, strict=True)):
            shares = np.searchsorted(np.sort(values), xs, side="right") / max(1, len(values)) * 100
            chart.line(
                list(xs), list(shares), _SERIES[index % len(_SERIES)], name if width == WIDE else f"{index + 1}"
            )
        return [chart]

    return both(draw)
