"""Getting weights, looking at them, converting them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from visionserve.cli.console import Root, TrustPickle, errors, output

_SHOWN_DEPTH = 3

_Key = Annotated[
    str | None,
    typer.Option("--key", help="Where in the file the state dict is, such as model_ema; found without."),
]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]


def add_commands(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.command("weights")(fetch)
    app.command("inspect")(inspect)
    app.command("summary")(summary)
    app.command("convert")(convert)


def fetch(
    models: Annotated[
        list[str] | None, typer.Argument(help="Models or torchvision classifiers; every models/*.yaml without.")
    ] = None,
    root: Root = Path(),
) -> None:
    """Get the weights of models: torchvision's are downloaded, a demo model's are made here."""
    from visionserve.archiver import catalog
    from visionserve.archiver.weights import acquisition, lookup
    from visionserve.project import Project

    wanted = [acquisition.Wanted.named(root, name) for name in models or catalog.names(root)]
    if not wanted:
        raise typer.BadParameter("models/ has no *.yaml; name a torchvision classifier, such as resnet50")
    downloads = [(want, size) for want in wanted if (size := want.download_size(root))]
    for want, size in downloads:
        output.print(f"to fetch: {want.name}, {size:.0f} MB", highlight=False)
    for want in wanted:
        path = acquisition.acquire(Project(root), want, anew=True, tell=_tell)
        output.print(f"{path}: SHA-256 {lookup.verify(path, want.spec.sha256)}", soft_wrap=True, highlight=False)


def _tell(sentence: str) -> None:
    errors.print(escape(sentence), highlight=False, soft_wrap=True)


def inspect(
    file: Annotated[Path, typer.Argument(help="A weights file of any form.")],
    key: _Key = None,
    trust_pickle: TrustPickle = False,
    as_json: _Json = False,
) -> None:
    """Say what a weights file is: format, tensors, parameters, digest, and the architectures it fits."""
    from visionserve.archiver.weights import inspection

    with errors.status(f"reading {file}"):
        found = inspection.inspect(file, key, trust_pickle=trust_pickle)
    if as_json:
        _print_json(dataclasses.asdict(found))
        return
    table = Table("", "", show_header=False, title=escape(str(file)), title_justify="left")
    table.columns[1].overflow = "fold"
    table.add_row("format", found.format + (" (unpickled)" if found.unpickled else ""))
    table.add_row("size", f"{found.size} bytes")
    table.add_row("SHA-256", found.sha256)
    table.add_row("state dict", f"at '{escape(found.key)}'" if found.key else "the whole file")
    table.add_row("prefix", f"'{found.prefix}', removed" if found.prefix else "none")
    for name, value in found.facts.items():
        table.add_row(escape(name), escape(str(value)))
    table.add_row("tensors", ", ".join(f"{count} x {dtype}" for dtype, count in found.dtypes.items()))
    table.add_row("parameters", f"{found.parameters:,}")
    table.add_row(
        "fits",
        "\n".join(f"{c.architecture}, {c.classes} classes" for c in found.architectures)
        or "no torchvision classifier",
    )
    output.print(table)


def summary(
    model: Annotated[str, typer.Argument(help="A model of this project, or a torchvision classifier.")],
    size: Annotated[
        str | None, typer.Option("--input", help="Channels x height x width, such as 3x640x640.", metavar="CxHxW")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="A weights file to take the class count from.")] = None,
    depth: Annotated[int, typer.Option(min=0, help="How deep inside modules the table goes.")] = _SHOWN_DEPTH,
    trust_pickle: TrustPickle = False,
    as_json: _Json = False,
    root: Root = Path(),
) -> None:
    """Print the layer table of a network: names, output shapes, parameters, multiply-adds."""
    from visionserve.archiver.summary import summarize

    found = summarize(root, model, _size(size), weights, trust_pickle=trust_pickle)
    if as_json:
        totals = {"parameters": found.parameters, "multiply_adds": found.multiply_adds}
        _print_json({**dataclasses.asdict(found), **totals})
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
            table.add_row(
                escape(name), layer.kind, output_shape, f"{layer.parameters:,}", f"{layer.multiply_adds:,}"
            )
    output.print(table)
    output.print(
        f"{found.classes} classes, from {found.classes_from}; {found.parameters:,} parameters;"
        f" {found.multiply_adds / 1e9:.3f} billion multiply-adds a picture",
        soft_wrap=True,
        highlight=False,
    )


def convert(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="A weights file of any form.")],
    target: Annotated[Path, typer.Argument(metavar="DST", help="The file to write: .pth, .pt or .safetensors.")],
    key: _Key = None,
    digest: Annotated[
        bool, typer.Option("--digest", help="Put the first 8 digits of the new file's SHA-256 into its name.")
    ] = False,
    trust_pickle: TrustPickle = False,
) -> None:
    """Write a clean state dict with the same tensors, bit for bit."""
    from visionserve.archiver.weights import checkpoints, conversion, lookup

    lookup.verify(source)
    checkpoint = checkpoints.read(source, key, trust_pickle=trust_pickle)
    written = conversion.write(checkpoint.state_dict, target, digest_in_name=digest)
    output.print(f"{source}: {checkpoint.describe()}", soft_wrap=True, highlight=False, markup=False)
    output.print(f"{written}: SHA-256 {lookup.digest(written)}", soft_wrap=True, highlight=False, markup=False)


def _size(text: str | None) -> tuple[int, int, int] | None:
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise typer.BadParameter(f"'{text}' is no input size; write channels x height x width, such as 3x640x640")
    channels, height, width = map(int, parts)
    return channels, height, width


def _print_json(document: dict[str, Any]) -> None:
    typer.echo(json.dumps(document, indent=1, default=str, ensure_ascii=False))
