"""Arguments in, a run out: `python -m benchmarks run`, `python -m benchmarks publish`."""

from __future__ import annotations

import shlex
import signal
import sys
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from benchmarks import machine, plan, publish, reference
from benchmarks.results import Results
from benchmarks.run import Run

if TYPE_CHECKING:
    from types import FrameType

_ROOT = Path(__file__).parents[1]
_WORK = Path(".visionserve") / "benchmark"

app = typer.Typer(help="visionserve beside its peers.", add_completion=False, pretty_exceptions_enable=False)
console = Console(stderr=True)


@app.command()
def run(
    quick: Annotated[
        bool, typer.Option(help="ResNet-50 only, two short rounds: five minutes on two cores.")
    ] = False,
    rounds: Annotated[int | None, typer.Option(help="How often every contender takes its turn.", min=1)] = None,
    seconds: Annotated[float | None, typer.Option(help="How long each turn is measured.", min=0.2)] = None,
    models: Annotated[list[str] | None, typer.Option("--model", help="Only this demo model; repeatable.")] = None,
) -> None:
    """Measure every contender, write benchmarks/results/DATE-CPU.*, and refresh the README."""
    chosen = plan.QUICK if quick else plan.FULL
    chosen = replace(
        chosen,
        rounds=rounds or chosen.rounds,
        seconds=seconds or chosen.seconds,
        loads={model: loads for model, loads in chosen.loads.items() if not models or model in models},
    )
    if not chosen.loads:
        raise typer.BadParameter(
            f"no such model; this run has {', '.join((plan.QUICK if quick else plan.FULL).loads)}"
        )
    for model in chosen.loads:
        reference.make_weights(_ROOT, model)
    now, hardware = datetime.now(UTC), machine.hardware()
    results = Results(
        {
            "date": now.strftime("%Y-%m-%d"),
            "time": now.isoformat(timespec="seconds"),
            "quick": quick,
            "command": shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]]),
            "commit": machine.commit(_ROOT),
            "hardware": hardware,
            "versions": machine.versions(),
            "plan": asdict(chosen),
        }
    )
    suffix = "-quick" if quick else ""
    path = _ROOT / publish.FOLDER / f"{results.about['date']}-{machine.slug(hardware)}{suffix}.json"
    start = time.monotonic()

    def say(step: str) -> None:
        console.print(f"[dim]{time.monotonic() - start:6.0f} s[/] {step}", highlight=False, soft_wrap=True)

    signal.signal(signal.SIGTERM, _interrupt)
    Run(_ROOT, _ROOT / _WORK, chosen, results, say, lambda: results.write(path)).measure()
    results.about["minutes"] = (time.monotonic() - start) / 60
    results.write(path)
    _publish(path)
    faults = results.faulty()
    for (model, name), (wrong, errors, examples) in faults.items():
        console.print(
            f"[bold red]failed:[/] {name} on {model}: {wrong} wrong answers, {errors} errors: {examples}"
        )
    raise typer.Exit(1 if faults else 0)


@app.command(name="publish")
def publish_again(
    path: Annotated[Path | None, typer.Argument(help="A run's JSON file; the newest full one without.")] = None,
) -> None:
    """Write the Markdown and charts of a run that was measured before, and refresh the README."""
    chosen = path or publish.newest(_ROOT)
    if chosen is None:
        raise typer.BadParameter(f"{publish.FOLDER} has no full run yet; 'make benchmark' makes one")
    _publish(chosen)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """Make SIGTERM end the contenders as Ctrl-C does."""
    raise KeyboardInterrupt


def _publish(path: Path) -> None:
    for written in publish.beside(path):
        console.print(f"wrote {written}", soft_wrap=True)
    for page in publish.pages(_ROOT):
        console.print(f"refreshed {page} from the newest full run", soft_wrap=True)


if __name__ == "__main__":
    app()
