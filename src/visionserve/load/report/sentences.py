"""What results show, each kind of them in one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from visionserve.load.outcomes import RIGHT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from visionserve.load.judging.judgement import Judgement
    from visionserve.load.runs import Run
    from visionserve.load.series.capacity import Searched


def of_run(run: Run, judged: Judgement, objections: Sequence[str]) -> str:
    """What a run gave, or that its numbers say nothing."""
    if objections:
        return "This run is invalid: its numbers say nothing of the server."
    p99 = judged.latency[99.0].value
    late = f"99 % of answers came within {p99:.0f} ms" if np.isfinite(p99) else "more than 1 % got no right answer"
    wrong = sum(count for outcome, count in judged.outcomes.items() if outcome not in RIGHT)
    truth = (
        "every answer was right" if wrong == 0 else f"{wrong} of {judged.requests} requests failed or were wrong"
    )
    who = ", ".join(run.models)
    return f"{who} gave {judged.throughput.value:.1f} right answers/s ({run.plan}); {late}, and {truth}."


def of_search(found: Searched) -> str:
    """The highest rate that held, or why there is none."""
    if found.rate is None:
        return "This search was cut short before it had an answer."
    if found.rate == 0:
        return f"No rate down to {found.probes[-1].rate:.1f} requests/s held {found.objective} in a long run."
    long = found.confirmed
    during = f" in a run of {duration(long.seconds)}" if long is not None else ""
    return f"This machine takes {found.rate:.1f} requests/s at {found.objective}, confirmed{during}."


def of_sweep(rows: Sequence[dict[str, Any]], best: Sequence[int]) -> str:
    """The points with the highest throughput and the lowest p99."""
    done = [row for row in rows if "failure" not in row]
    if not done:
        return "No point of this sweep has been measured."
    top = max(done, key=lambda row: row["throughput"])
    low = min(done, key=lambda row: row["p99"])
    quick = (
        "which also has the lowest p99"
        if top is low
        else f"point {low['number']} the lowest p99, {low['p99']:.0f} ms"
    )
    return (
        f"Point {top['number']} has the highest throughput, {top['throughput']:.1f} right answers/s at a p99 of"
        f" {top['p99']:.0f} ms, {quick}; {len(best)} of {len(done)} points are beaten by no other in both."
    )


def of_comparison(runs: Sequence[Run], rows: Sequence[dict[str, Any]]) -> str:
    """How many times the first run's throughput and p99 each other run has."""
    parts = []
    for run in runs[1:]:
        mine = {row["metric"]: row for row in rows if row["name"] == run.name}
        told = []
        for metric, name in (("throughput", "throughput"), ("p99", "p99 latency")):
            row = mine[metric]
            verdict = "beyond the noise" if row["beyond_noise"] else "within the noise"
            told.append(f"{row['ratio']['value']:.2f} times the {name} ({verdict})")
        parts.append(f"{run.name} has {' and '.join(told)} of {runs[0].name}")
    return "; ".join(parts) + "."


def of_soak(run: Run, growing: Sequence[str]) -> str:
    """What grew during a soak, by name."""
    during = f"in {duration(run.seconds)} at {run.plan.rate:g} requests/s"
    return f"{_listed(growing).capitalize()} grew {during}." if growing else f"Nothing grew {during}."


def duration(seconds: float) -> str:
    """A duration in words."""
    for size, name in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size or seconds == size:
            return f"{seconds / size:.3g} {name}"
    return f"{seconds:.3g} s"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
