"""Signing an archive."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visionserve.cli.console import Root, note, output

if TYPE_CHECKING:
    from visionserve.signatures.keys import PrivateKey

_PASSPHRASE = "VISIONSERVE_KEY_PASSPHRASE"  # noqa: S105  # the variable's name


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command("sign")(sign)


def sign(
    archive: Annotated[str, typer.Argument(metavar="ARCHIVE", help="A .mar file, or the name of a model.")],
    key: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help=f"The private elliptic-curve key, a PEM file. Where it is encrypted, its passphrase is that of"
            f" {_PASSPHRASE}, or is asked for.",
        ),
    ],
    root: Root = Path(),
) -> None:
    """Sign an archive: write NAME.mar.sig beside NAME.mar, which stays as it is."""
    from visionserve.project import Project
    from visionserve.server import store
    from visionserve.signatures import bundle, signing

    path = store.find(Project(root), archive)
    private = _read(key)
    if private.exposed:
        note(f"{key} may be read by others (mode {private.exposed}): chmod 600 {key}")
    store.require_undamaged(path)
    signed = signing.sign(path, private)
    output.print(
        f"{bundle.path_of(path)}: {path.name} signed with {private.public.named}\n  SHA-256  {signed.sha256}",
        soft_wrap=True,
    )


def _read(key: Path) -> PrivateKey:
    from visionserve.signatures.errors import PassphraseNeeded, SignatureError
    from visionserve.signatures.keys import PrivateKey

    passphrase = os.environ.get(_PASSPHRASE)
    try:
        return PrivateKey.read(key, passphrase)
    except PassphraseNeeded as needed:
        if not sys.stdin.isatty():
            raise SignatureError(f"{needed}: put it into {_PASSPHRASE}") from None
    return PrivateKey.read(key, typer.prompt(f"passphrase of {key}", hide_input=True, err=True))
