"""What results show, as plain data: the one source of the HTML, the Markdown and the JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from visionserve.load.judging import judgement, soak, statistics, validity
from visionserve.load.outcomes import RIGHT, Outcome
from visionserve.load.report import sentences
from visionserve.load.series import search, sweep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from visionserve.load.judging.judgement import Judgement
    from visionserve.load.judging.statistics import Estimate
    from visionserve.load.runs import Run
    from visionserve.load.series.capacity import Searched
    from visionserve.load.series.sweep import Swept

_COMPARED = ("throughput", "goodput", "mean", "p50", "p99")


def of_run(run: Run, bound: float | None) -> dict[str, Any]:
    """One run in numbers and one sentence."""
    judged = run.judge(bound)
    objections = run.objections(judged)
    measured = judgement.measured(run.samples)
    ceiling = run.header.get("ceiling") or {}
    return {
        "name": run.name,
        "folder": run.folder.name,
        "models": run.models,
        "load": str(run.plan),
        "open_loop": run.plan.open_loop,
        "seconds": run.seconds,
        "started": run.header["started"],
        "valid": not objections,
        "objections": [objection.text for objection in objections],
        "sentence": sentences.of_run(run, judged, [objection.text for objection in objections]),
        "bound": bound,
        "requests": judged.requests,
        "offered": judged.offered,
        "throughput": asdict(judged.throughput),
        "goodput": asdict(judged.goodput),
        "latency": {f"p{q:g}": asdict(estimate) for q, estimate in judged.latency.items()},
        "mean": asdict(judged.mean),
        "max": judged.largest,
        "service": judged.service,
        "error_rate": judged.error_rate,
        "outcomes": [
            {
                "class": o.name.lower(),
                "meaning": o.meaning,
                "count": n,
                "share": n / max(1, judged.requests),
                "right": o in RIGHT,
            }
            for o, n in judged.outcomes.items()
            if n or o is Outcome.OK
        ],
        "answers": _answers(measured),
        "stages": judged.stages,
        "batch": judged.batch,
        "pictures": _pictures(run, measured),
        "generator": {
            "lag_p99": validity.lag_p99(measured) if len(measured) else float("nan"),
            "cpu": validity.cpu(measured) if len(measured) else float("nan"),
            "ceiling": ceiling.get("requests_per_second"),
            "processes": run.plan.generators,
        },
    }


def of_search(found: Searched) -> dict[str, Any]:
    """A search: every rate that was tried, the knee, and the highest that held."""
    bound = found.objective.limit
    rows: list[dict[str, Any]] = []
    for probe, run in zip(found.probes, found.runs, strict=True):
        judged = run.judge(bound)
        p99 = judged.latency[99.0]
        rows.append(
            {
                "rate": probe.rate,
                "holds": probe.holds,
                "confirming": probe.confirming,
                "why": probe.why,
                "p50": judged.latency[50.0].value,
                "p99": p99.value,
                "p99_low": p99.low,
                "p99_high": p99.high,
                "goodput": judged.goodput.value,
                "error_rate": judged.error_rate,
                "requests": judged.requests,
                "seconds": run.seconds,
            }
        )
    rows.sort(key=lambda row: (row["rate"], row["confirming"]))
    return {
        "objective": str(found.objective),
        "bound": bound,
        "rate": found.rate,
        "knee": knee([(row["rate"], row["goodput"], row["p50"]) for row in rows]),
        "rows": rows,
        "sentence": sentences.of_search(found),
        "plan": {"headroom": search.HEADROOM, "machines": _machines(found.rate)},
    }


def of_sweep(swept: Swept, bound: float | None) -> dict[str, Any]:
    """A sweep: every point, and the ones that no other beats in both throughput and latency."""
    rows: list[dict[str, Any]] = []
    for number, (point, run) in enumerate(zip(swept.points, swept.runs, strict=True)):
        row = {"number": number + 1, "settings": dict(point.settings), "load": str(point.plan)}
        if run is None:
            reason = swept.failures.get(number, "not run yet")
            rows.append({**row, "failure": reason})
            continue
        judged = run.judge(bound)
        objections = run.objections(judged)
        rows.append(
            {
                **row,
                "throughput": judged.throughput.value,
                "goodput": judged.goodput.value,
                "p50": judged.latency[50.0].value,
                "p99": judged.latency[99.0].value,
                "error_rate": judged.error_rate,
                "batch": judged.batch,
                "valid": not objections,
                "objections": [objection.text for objection in objections],
            }
        )
    done = [row for row in rows if "failure" not in row]
    best = [done[index]["number"] for index in sweep.pareto([(row["throughput"], row["p99"]) for row in done])]
    for row in rows:
        row["best"] = row["number"] in best
    return {"rows": rows, "best": best, "sentence": sentences.of_sweep(rows, best)}


def of_comparison(runs: Sequence[Run], bound: float | None) -> dict[str, Any]:
    """Each run against the first: ratios with their intervals, and whether they are beyond the noise."""
    numbers = [_compared(run.judge(bound)) for run in runs]
    rows = []
    for run, own in zip(runs[1:], numbers[1:], strict=True):
        for name in _COMPARED:
            ratio = statistics.ratio_estimate(numbers[0][name], own[name])
            rows.append(
                {
                    "name": run.name,
                    "metric": name,
                    "first": numbers[0][name].value,
                    "value": own[name].value,
                    "ratio": asdict(ratio),
                    "beyond_noise": bool(ratio.low > 1 or ratio.high < 1),
                }
            )
    return {"first": runs[0].name, "rows": rows, "sentence": sentences.of_comparison(runs, rows)}


def of_soak(run: Run) -> dict[str, Any]:
    """How memory, handles and latency moved."""
    found = soak.drifts(run)
    rows = [
        {
            "what": d.what,
            "unit": d.unit,
            "mean": d.mean,
            "slope": asdict(d.slope),
            "change": d.change,
            "grows": d.grows,
        }
        for d in found
    ]
    growing = [d.what for d in found if d.grows]
    return {"rows": rows, "grows": bool(growing), "sentence": sentences.of_soak(run, growing)}


def knee(points: Sequence[tuple[float, float, float]]) -> float | None:
    """The rate at which goodput over latency is highest (Kleinrock's power, 1979): more costs more than it brings.

    Args:
        points: Rate, goodput and median latency.
    """
    known = [
        (goodput / latency, rate) for rate, goodput, latency in points if np.isfinite(latency) and latency > 0
    ]
    return max(known)[1] if len(known) > 2 else None


def _answers(measured: Any) -> list[dict[str, Any]]:
    """The statuses and error types of requests that did not end right."""
    wrong = measured[~np.isin(measured["outcome"], list(RIGHT))]
    kinds, counts = np.unique(wrong[["status", "type"]], return_counts=True)
    return [
        {"status": int(kind["status"]), "type": kind["type"].decode(), "count": int(count)}
        for kind, count in zip(kinds, counts, strict=True)
    ]


def _pictures(run: Run, measured: Any) -> list[dict[str, Any]]:
    rows = []
    kinds = np.array([picture["kind"] for picture in run.header["corpus"]["pictures"]])
    sizes = np.array([picture["bytes"] for picture in run.header["corpus"]["pictures"]])
    for kind in dict.fromkeys(kinds):
        mine = measured[kinds[measured["picture"]] == kind] if len(measured) else measured
        if len(mine):
            right = np.isin(mine["outcome"], list(RIGHT))
            latency = np.where(right, (mine["answered"] - mine["scheduled"]) / 1e6, np.inf)
            rows.append(
                {
                    "kind": str(kind),
                    "requests": len(mine),
                    "kilobytes": float(sizes[mine["picture"]].mean() / 1000),
                    "p50": statistics.percentile(latency, 50),
                    "p99": statistics.percentile(latency, 99),
                }
            )
    return rows


def _compared(judged: Judgement) -> dict[str, Estimate]:
    return {
        "throughput": judged.throughput,
        "goodput": judged.goodput,
        "mean": judged.mean,
        "p50": judged.latency[50.0],
        "p99": judged.latency[99.0],
    }


def _machines(rate: float | None) -> list[dict[str, float]]:
    if not rate:
        return []
    return [{"need": need, "machines": search.machines(need, rate)} for need in (100, 1000, 10000)]
