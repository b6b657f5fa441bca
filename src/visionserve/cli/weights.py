"""Getting the weights of models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from visionserve.cli.console import Root, errors, output


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command("weights")(fetch)


def fetch(
    models: Annotated[
        list[str] | None, typer.Argument(help="Models or torchvision classifiers; default: every models/*.yaml.")
    ] = None,
    root: Root = Path(),
) -> None:
    """Get the weights of models: torchvision's are downloaded, a demo model's are made here."""
    from visionserve.archiver.models import catalog
    from visionserve.archiver.weights import acquisition, digests
    from visionserve.project import Project

    wanted = [acquisition.Wanted.named(root, name) for name in models or catalog.names(root)]
    if not wanted:
        raise typer.BadParameter("models/ has no *.yaml; name a torchvision classifier, such as resnet50")
    downloads = [(want, size) for want in wanted if (size := want.download_size(root))]
    for want, size in downloads:
        output.print(f"to fetch: {want.name}, {size:.0f} MB", highlight=False)
    for want in wanted:
        path = acquisition.acquire(Project(root), want, anew=True, tell=_tell)
        sha256 = digests.verify(path, want.spec.sha256)
        output.print(f"{path}: SHA-256 {sha256}", soft_wrap=True, highlight=False)


def _tell(sentence: str) -> None:
    errors.print(escape(sentence), highlight=False, soft_wrap=True)
