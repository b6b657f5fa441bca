"""Arguments in, a run out: `make precision`, or `python -m benchmarks.precision`."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import machine
from benchmarks.errors import NotRun
from benchmarks.markers import Markers
from benchmarks.precision import subjects, tables
from benchmarks.precision.results import Results
from benchmarks.precision.run import Measured, measure

_ROOT = Path(__file__).parents[2]
_WORK = _ROOT / ".visionserve" / "precision"
_RESULTS = _ROOT / "benchmarks" / "results" / "precision"
_PAGE = _ROOT / "docs" / "performance.md"

MARKERS = Markers("precision", "make precision")


def main(
    names: Annotated[
        list[str] | None,
        typer.Option("--network", help="Only this one, beside what was measured before; repeatable."),
    ] = None,
    count: Annotated[int, typer.Option("--pictures", help="How many to derive from the photographs.")] = 260,
) -> None:
    """Compare every engine with eager fp32, write benchmarks/results/precision/, refresh docs/performance.md."""
    console = Console(stderr=True)
    unknown = set(names or ()) - set(subjects.TITLES)
    if unknown:
        raise typer.BadParameter(
            f"no network {', '.join(sorted(unknown))}; there are {', '.join(subjects.TITLES)}"
        )
    now, hardware = datetime.now(UTC), machine.hardware()
    date = now.strftime("%Y-%m-%d")
    results = Results({"date": date, "hardware": hardware, "versions": machine.versions()})
    path = _RESULTS / f"{date}-{machine.slug(hardware)}.json"
    if path.exists():
        results.keep(Results.read(path))
    for name in names or subjects.TITLES:
        console.print(subjects.TITLES[name], highlight=False)
        results.measured[name] = _measured(name, count)
        results.write(path)
    console.print(f"wrote {path.relative_to(_ROOT)}", soft_wrap=True)
    section = tables.section(results)
    link = f"[Raw](../{path.relative_to(_ROOT)}); `make precision` measures it again on your machine."
    if MARKERS.put(_PAGE, f"{section} {link}"):
        console.print(f"refreshed {_PAGE.relative_to(_ROOT)}", soft_wrap=True)


def _measured(name: str, count: int) -> Measured:
    """A network's figures, or why there are none."""
    start = time.monotonic()
    try:
        found = measure(subjects.make(name, _ROOT, _WORK, count), _WORK)
    except NotRun as error:
        found = Measured(name, not_run={"": str(error).replace(f"{_ROOT}/", "")})
    return replace(found, commit=machine.commit(_ROOT), minutes=(time.monotonic() - start) / 60)


if __name__ == "__main__":
    typer.run(main)
