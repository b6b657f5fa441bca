"""Writing a clean state dict from a weights file of any form."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  # typer reads annotations
from typing import Annotated

import typer

from visionserve.cli.console import Key, TrustPickle, output
from visionserve.runtime.errors import WeightsError


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command("convert")(convert)


def convert(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="A weights file of any form.")],
    target: Annotated[Path, typer.Argument(metavar="DST", help="The file to write: .pth, .pt or .safetensors.")],
    key: Key = None,
    digest: Annotated[
        bool, typer.Option("--digest", help="Put the first 8 digits of the new file's SHA-256 into its name.")
    ] = False,
    trust_pickle: TrustPickle = False,
) -> None:
    """Write a clean state dict with the same tensors, bit for bit."""
    from visionserve.archiver.weights import checkpoints, conversion, digests

    if target.exists() and target.samefile(source):
        raise WeightsError(f"{target}: is the file that is read; name another one to write")
    digests.verify(source)
    checkpoint = checkpoints.read(source, key, trust_pickle=trust_pickle)
    written = conversion.write(checkpoint.state_dict, target, digest_in_name=digest)
    output.print(f"{source}: {checkpoint.describe()}", soft_wrap=True)
    output.print(f"{written}: SHA-256 {digests.sha256_of(written)}", soft_wrap=True)
