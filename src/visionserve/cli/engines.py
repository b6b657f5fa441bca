"""Comparing engines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from visionserve.cli.console import Json, Root, note, output, print_json

if TYPE_CHECKING:
    from visionserve.archiver.engines.survey import Survey
    from visionserve.archiver.engines.turns import Rate

_MEBIBYTE = 1 << 20
_BATCHES = (1, 4, 8)
_WHOLE = 100  # pictures/s from which no decimals are shown
_LEGEND = """\
alone, by 4, ...  pictures/s, alone and in batches: median and 96 % interval of 9 turns; the most stands out
MiB, load         the process's memory, libraries included; seconds to load, without starting Python and torch
error, same       how far logits are from fp32's at most; for how many generated photographs the class is fp32's
share             of the multiplications that the processor can do, which Winograd's algorithm makes fewer"""


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
    counted = found.multiplications
    output.print(
        f"{path.name}: {found.architecture} at {found.side} pixels, {found.threads} threads;"
        f" {counted.total / 1e9:.2f} billion multiplications, {counted.share:.0%} of them in 3x3 convolutions",
        soft_wrap=True,
    )
    # Narrow enough for a terminal of 80 columns.
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("engine", no_wrap=True)
    for size in sizes:
        table.add_column("alone" if size == 1 else f"by {size}", justify="right")
    for name in ("MiB", "load", "error", "same", "share"):
        table.add_column(name, justify="right")
    best = {size: max((each.rates[size].median for each in found.measured), default=0) for size in sizes}
    for each in sorted(found.measured, key=lambda figures: -figures.rates[sizes[-1]].median):
        share = found.share(each)
        table.add_row(
            f"{each.way.engine} {each.way.precision}",
            *(_rate(each.rates[size], best[size]) for size in sizes),
            f"{each.memory / _MEBIBYTE:.0f}",
            f"{each.load:.1f} s",
            f"{each.error:.0e}",
            f"{each.same}/{each.of}",
            "" if share is None else f"{share:.0%}",
        )
    output.print(table)
    output.print(_LEGEND, soft_wrap=True)
    for way, reason in found.lacking.items():
        note(f"{way}: {reason}")


def _rate(rate: Rate, most: float) -> Text:
    interval = (rate.high - rate.low) / 2 / rate.median
    shown = f"{rate.median:,.0f}" if rate.median >= _WHOLE else f"{rate.median:.3g}"
    return Text(f"{shown} ±{interval:.0%}", "bold green" if rate.median == most else "")
