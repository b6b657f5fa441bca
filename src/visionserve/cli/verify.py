"""Verifying an archive's signature."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visionserve.cli.console import Root, output


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command("verify")(verify)


def verify(
    archive: Annotated[str, typer.Argument(metavar="ARCHIVE", help="A .mar file, or the name of a model.")],
    key: Annotated[Path, typer.Option(metavar="FILE", help="The public key of who should have signed it.")],
    root: Root = Path(),
) -> None:
    """Check that an archive is just what the owner of a key has signed, by the signature beside it."""
    from visionserve.project import Project
    from visionserve.server import store
    from visionserve.signatures import bundle, verification
    from visionserve.signatures.keys import PublicKey

    path = store.find(Project(root), archive)
    signature = bundle.read(path)
    signer = verification.verify(signature, path, [PublicKey.read(key)], called=path.name)
    output.print(f"{path}: signed with {signer.named}\n  SHA-256  {signature.sha256}", soft_wrap=True)
