"""Getting the weights of models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visionserve.cli.console import Root, output


def add_commands(app: typer.Typer) -> None:
    """Add this verb."""
    app.command("weights")(fetch)


def fetch(
    models: Annotated[list[str] | None, typer.Argument(help="Model names; every models/*.yaml without.")] = None,
    root: Root = Path(),
) -> None:
    """Get the weights of models: torchvision's are downloaded, a demo model's are made here."""
    from visionserve.archiver import catalog, demo
    from visionserve.archiver.weights import digests, download, entries, lookup

    for name in models or catalog.names(root):
        source = catalog.find(root, name)
        spec = catalog.read(source)
        if catalog.is_demo(root, source):
            target = root / lookup.file_name(spec.handler)
            accuracy = demo.make(spec.handler, target)
            output.print(f"{target}: {accuracy:.1%} of {demo.HELD_OUT} held-out pictures right")
            continue
        if not entries.names_one(spec.handler) or lookup.are_here(root, name, spec.handler):
            found = lookup.find(root, name, spec.handler)
            output.print(f"{found.path}: SHA-256 {found.sha256}", soft_wrap=True)
            continue
        target = root / lookup.FOLDER / lookup.file_name(spec.handler)
        if not target.exists():
            download.download(entries.of(spec.handler).url, target)
        output.print(f"{target}: SHA-256 {digests.verify(target, spec.handler.sha256)}", soft_wrap=True)
