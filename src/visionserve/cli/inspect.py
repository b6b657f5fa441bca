"""Saying what a weights file or an archive is."""

from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path  # noqa: TC003  # typer reads annotations
from typing import Annotated

import typer
from rich.table import Table

from visionserve.cli.console import Json, Key, TrustPickle, busy, output, print_json


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command("inspect")(inspect)


def inspect(
    file: Annotated[Path, typer.Argument(help="A weights file of any form, or a .mar file.")],
    key: Key = None,
    trust_pickle: TrustPickle = False,
    as_json: Json = False,
) -> None:
    """Say what a weights file is: format, tensors, parameters, digest, and the architectures it fits.

    Of an archive: its model and digest, and who is said to have signed it.
    """
    from visionserve.project import SUFFIX

    if file.suffix == SUFFIX:
        _inspect_archive(file, as_json=as_json)
        return
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


def _inspect_archive(file: Path, *, as_json: bool) -> None:
    from visionserve.archiver.weights import digests
    from visionserve.runtime import archive
    from visionserve.server import store
    from visionserve.signatures import bundle
    from visionserve.signatures.errors import SignatureError, Unsigned

    store.require_undamaged(file)
    identity = archive.read_identity(zipfile.Path(file))
    size, sha256 = file.stat().st_size, digests.sha256_of(file)
    key = None
    try:
        signed = bundle.read(file)
        key = signed.key
        said = f"says it is by key {key}" + (", of other bytes" if signed.sha256 != sha256 else "")
        said += f"; 'visionserve verify {file} --key FILE' tells"
    except Unsigned:
        said = "none"
    except SignatureError as error:
        said = str(error)
    facts = {"model": identity.name, "version": identity.version, "size": size, "sha256": sha256}
    if as_json:
        print_json({"path": str(file), **facts, "signature_key": key})
        return
    table = Table("", "", show_header=False, title=str(file), title_justify="left")
    table.columns[1].overflow = "fold"
    table.add_row("model", f"{identity.name}, version {identity.version}")
    table.add_row("size", f"{size} bytes")
    table.add_row("SHA-256", sha256)
    table.add_row("signature", said)
    output.print(table)
