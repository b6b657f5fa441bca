"""Printing a network layer by layer."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from visionserve.cli.console import Json, Root, TrustPickle, output, print_json

_SHOWN_DEPTH = 3


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command("summary")(summary)


def summary(
    model: Annotated[str, typer.Argument(help="A model of this project, or a torchvision classifier.")],
    size: Annotated[
        str | None, typer.Option("--input", help="Channels x height x width, such as 3x640x640.", metavar="CxHxW")
    ] = None,
    classes: Annotated[
        int | None, typer.Option(min=1, help="The class count, where there are no weights to take it from.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="A weights file to take the class count from.")] = None,
    depth: Annotated[int, typer.Option(min=0, help="How deep inside modules the table goes.")] = _SHOWN_DEPTH,
    trust_pickle: TrustPickle = False,
    as_json: Json = False,
    root: Root = Path(),
) -> None:
    """Print the layer table of a network: names, output shapes, parameters, multiply-adds."""
    from visionserve.archiver.summary import summarize

    found = summarize(root, model, _size(size), weights, classes=classes, trust_pickle=trust_pickle)
    if as_json:
        totals = {"parameters": found.parameters, "multiply_adds": found.multiply_adds}
        print_json({**dataclasses.asdict(found), **totals})
        return
    shape = "x".join(map(str, found.input))
    table = Table(
        "layer", "class", "output", "parameters", "multiply-adds", title=f"{found.architecture}, {shape}"
    )
    for column in table.columns[2:]:
        column.justify = "right"
    for layer in found.layers:
        if layer.depth <= depth:
            name = "  " * layer.depth + (layer.name.rpartition(".")[2] or found.model)
            output_shape = "x".join(map(str, layer.output))
            table.add_row(name, layer.kind, output_shape, f"{layer.parameters:,}", f"{layer.multiply_adds:,}")
    output.print(table)
    output.print(
        f"{found.classes} classes, from {found.classes_from}; {found.parameters:,} parameters;"
        f" {found.multiply_adds / 1e9:.3f} billion multiply-adds a picture",
        soft_wrap=True,
    )


def _size(text: str | None) -> tuple[int, int, int] | None:
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(re.fullmatch(r"0*[1-9][0-9]{0,5}", part) for part in parts):
        raise typer.BadParameter(
            f"'{text[:40]}' is no input size; write channels x height x width, such as 3x640x640"
        )
    channels, height, width = map(int, parts)
    return channels, height, width
