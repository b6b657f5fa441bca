"""What the choice of an engine gains a whole server: `make choice`, or `python -m benchmarks.choice`.

Stock TorchServe, visionserve by OpenVINO, which is what `auto` took before it measured ncnn too, and visionserve
by what `auto` takes now. Each kind of processor has a file of results, which stays when another machine adds its
own.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from benchmarks import machine, plan, reference
from benchmarks.markers import Markers
from benchmarks.results import Results, Spread
from benchmarks.run import Run
from benchmarks.tables import MODELS, table

if TYPE_CHECKING:
    from collections.abc import Iterable

MARKERS = Markers("choice", "make choice")

_ROOT = Path(__file__).parents[1]
_WORK = _ROOT / ".visionserve" / "benchmark"
_RESULTS = _ROOT / "benchmarks" / "results" / "choice"
_PAGE = _ROOT / "docs" / "performance.md"
_AUTO = plan.OURS["auto"]


def main() -> None:
    """Measure, write benchmarks/results/choice/, refresh docs/performance.md."""
    console = Console(stderr=True)
    for model in plan.CHOICE.loads:
        reference.make_weights(_ROOT, model)
    hardware = machine.hardware()
    about = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": machine.commit(_ROOT),
        "hardware": hardware,
        "versions": machine.versions(),
        "plan": asdict(plan.CHOICE),
    }
    results, path = Results(about), _RESULTS / f"{machine.kind(hardware)}.json"
    measuring = Run(
        _ROOT,
        _WORK,
        plan.CHOICE,
        results,
        lambda step: console.print(step, highlight=False, soft_wrap=True),
        lambda: None,
    )
    measuring.measure()
    results.write(path)
    console.print(f"wrote {path.relative_to(_ROOT)}", soft_wrap=True)
    if MARKERS.put(_PAGE, section(sorted(_RESULTS.glob("*.json")))):
        console.print(f"refreshed {_PAGE.relative_to(_ROOT)}", soft_wrap=True)
    if faults := results.faulty():
        console.print(f"[bold red]failed:[/] {faults}")
        raise typer.Exit(1)


def section(paths: Iterable[Path]) -> str:
    """All results as Markdown, one table for each kind of processor."""
    parts = []
    for path in paths:
        results = Results.read(path)
        parts += [_about(results), _table(results), f"[Raw](../benchmarks/results/choice/{path.name})."]
    return "\n\n".join(
        [*parts, "`make choice` measures it again on your machine, and leaves the others as they are."]
    )


def _about(results: Results) -> str:
    hardware, versions, ran = (results.about[name] for name in ("hardware", "versions", "plan"))
    libraries = ", ".join(f"{name} {versions[name]}" for name in ("torch", "openvino", "ncnn") if name in versions)
    return (
        f"**{hardware['cpu']}, {hardware['cores']} cores** ({', '.join(hardware['instructions'])}),"
        f" {results.about['date']}; {libraries}; {ran['rounds']} rounds of {ran['seconds']:g} s in turns:"
    )


def _table(results: Results) -> str:
    rows = []
    for load in results.workloads():
        rates = [results.rate(name, load) for name in plan.CHOICE.only]
        gains = [results.ratio(_AUTO, name, load) for name in (plan.OPENVINO, plan.STOCK)]
        ours = [results.entry(name, load.model) for name in (_AUTO, plan.OPENVINO)]
        chosen = str(ours[0].settings.get("chosen", "")) if ours[0] else ""
        memory = [entry.workers[0]["rss"] if entry and entry.workers else float("nan") for entry in ours]
        ready = [Spread(min(entry.ready), min(entry.ready), max(entry.ready)) for entry in ours if entry]
        rows.append(
            [
                MODELS[load.model],
                str(load.clients),
                *("" if rate is None else f"{rate.median:.1f}" for rate in rates),
                *(
                    "" if gain is None else f"{gain.median:.2f} ({gain.low:.2f} to {gain.high:.2f})"
                    for gain in gains
                ),
                chosen,
                f"{memory[0] / memory[1]:.2f}",
                " / ".join(f"{each.median:.1f}" for each in ready),
            ]
        )
    head = [
        *("network", "clients", "stock", "OpenVINO", "auto", "auto over OpenVINO", "auto over stock", "auto took"),
        *("memory of a worker over OpenVINO's", "s to ready, auto / OpenVINO"),
    ]
    return table(head, rows)


if __name__ == "__main__":
    typer.run(main)
