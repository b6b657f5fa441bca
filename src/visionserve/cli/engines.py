"""Comparing engines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from visionserve.cli.console import Json, Root, note, output, print_json

if TYPE_CHECKING:
    from visionserve.archiver.engines.survey import Survey

_MEBIBYTE = 1 << 20
_BATCHES = (1, 4, 8)


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command("engines")(engines)


def engines(
    model: Annotated[str, typer.Argument(help="A .mar file, or the name of a model whose archive is built.")],
    batches: Annotated[
        list[int] | None,
        typer.Option("--batch", min=1, max=1024, help="A batch size; repeatable.", show_default="1, 4, 8"),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.01, help="How long an engine runs at a time.")] = 0.4,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of each engine.", show_default="all cores")
    ] = None,
    as_json: Json = False,
    root: Root = Path(),
) -> None:
    """Run a network by every engine and precision that there is, in turns: what is fastest on this machine."""
    from visionserve.archiver.engines import survey
    from visionserve.progress import bar
    from visionserve.project import Project
    from visionserve.server import store

    path = store.find(Project(root), model)
    store.require_undamaged(path)
    sizes = sorted(set(batches or _BATCHES))
    found = survey.make(path, sizes, seconds, lambda steps, doing: iter(bar(steps, doing)), threads)
    if as_json:
        print_json(found.document())
        return
    _show(path, found, sizes)


def _show(path: Path, found: Survey, sizes: list[int]) -> None:
    billions = found.multiplications.total / 1e9
    title = (
        f"{path.name}: {found.architecture} at {found.side} pixels, {billions:.2f} billion multiplications,"
        f" {found.multiplications.share:.0%} of them for Winograd's algorithm; {found.threads} threads"
    )
    table = Table("engine", title=title, title_justify="left")
    for size in sizes:
        table.add_column("pictures/s alone" if size == 1 else f"in batches of {size}", justify="right")
    for name in ("memory", "loads in", "from fp32", "same class", "of the processor"):
        table.add_column(name, justify="right")
    best = {size: max((each.rates[size].median for each in found.measured), default=0) for size in sizes}
    for each in sorted(found.measured, key=lambda figures: -figures.rates[sizes[-1]].median):
        rates = [each.rates[size] for size in sizes]
        share = found.share(each)
        table.add_row(
            str(each.way),
            *(
                f"{'* ' if rate.median == best[size] else ''}{rate.median:.1f} ({rate.low:.1f} to {rate.high:.1f})"
                for size, rate in zip(sizes, rates, strict=True)
            ),
            f"{each.memory / _MEBIBYTE:.0f} MiB",
            f"{each.load:.2f} s",
            f"{each.error:.1e}",
            f"{each.same} of {each.of}",
            "" if share is None else f"{share:.0%}",
        )
    output.print(table)
    for way, reason in found.lacking.items():
        note(f"{way}: {reason}")
