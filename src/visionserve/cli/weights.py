"""Getting weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visionserve.cli.console import Root, output


def add_commands(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.command("weights")(fetch)


def fetch(
    models: Annotated[list[str] | None, typer.Argument(help="Model names; every models/*.yaml without.")] = None,
    root: Root = Path(),
) -> None:
    """Get the weights of models: torchvision's are downloaded, a demo model's are made here."""
    from visionserve.build import catalog, demo, download, weights

    for name in models or catalog.names(root):
        source = catalog.find(root, name)
        spec = catalog.read(source)
        if catalog.is_demo(root, source):
            target = root / weights.file_name(spec.handler)
            accuracy = demo.make(spec.handler, target)
            output.print(f"{target}: {accuracy:.1%} of {demo.HELD_OUT} held-out pictures right")
            continue
        if not weights.names_entry(spec.handler):
            weights.find(root, name, spec.handler)
            output.print(f"{name}: {spec.handler.weights} is here")
            continue
        target = root / weights.FOLDER / weights.file_name(spec.handler)
        if not target.exists():
            download.download(weights.entry(spec.handler).url, target)
        output.print(f"{target}: SHA-256 {weights.verify(target, spec.handler.sha256)}", soft_wrap=True)
