"""Saying what a weights file is."""

from __future__ import annotations

import dataclasses
from pathlib import Path  # noqa: TC003  # typer reads annotations
from typing import Annotated

import typer
from rich.table import Table

from visionserve.cli.console import Json, Key, TrustPickle, busy, output, print_json


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command("inspect")(inspect)


def inspect(
    file: Annotated[Path, typer.Argument(help="A weights file of any form.")],
    key: Key = None,
    trust_pickle: TrustPickle = False,
    as_json: Json = False,
) -> None:
    """Say what a weights file is: format, tensors, parameters, digest, and the architectures it fits."""
    from visionserve.archiver import inspection

    with busy(f"reading {file}"):
        found = inspection.inspect(file, key, trust_pickle=trust_pickle)
    if as_json:
        print_json(dataclasses.asdict(found))
        return
    table = Table("", "", show_header=False, title=str(file), title_justify="left")
    table.columns[1].overflow = "fold"
    table.add_row("format", found.format + (" (unpickled)" if found.unpickled else ""))
    table.add_row("size", f"{found.size} bytes")
    table.add_row("SHA-256", found.sha256)
    table.add_row("state dict", f"at '{found.key}'" if found.key else "the whole file")
    table.add_row("prefix", f"'{found.prefix}', removed" if found.prefix else "none")
    for name, value in found.facts.items():
        table.add_row(name, str(value))
    table.add_row("tensors", ", ".join(f"{count} x {dtype}" for dtype, count in found.dtypes.items()))
    table.add_row("parameters", f"{found.parameters:,}")
    table.add_row(
        "fits",
        "\n".join(f"{c.architecture}, {c.classes} classes" for c in found.architectures)
        or "no torchvision classifier",
    )
    output.print(table)
