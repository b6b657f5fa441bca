"""Getting the weights of models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visionserve.cli.console import Root, errors, output


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command("weights")(weights)


def weights(
    models: Annotated[
        list[str] | None, typer.Argument(help="Models or torchvision classifiers; default: every models/*.yaml.")
    ] = None,
    root: Root = Path(),
) -> None:
    """Get the weights of models: torchvision's are downloaded, a demo model's are made here."""
    from visionserve.archiver import acquisition
    from visionserve.archiver.models import catalog
    from visionserve.archiver.weights import digests
    from visionserve.project import Project

    wanted = [acquisition.Wanted.named(root, name) for name in models or catalog.names(root)]
    if not wanted:
        raise typer.BadParameter("models/ has no *.yaml; name a torchvision classifier, such as resnet50")
    downloads = [(want, size) for want in wanted if (size := want.download_size(root))]
    for want, size in downloads:
        output.print(f"to fetch: {want.name}, {size:.0f} MB")
    for want in wanted:
        path = acquisition.acquire(Project(root), want, anew=True, tell=_tell)
        sha256 = digests.verify(path, want.spec.sha256)
        output.print(f"{path}: SHA-256 {sha256}", soft_wrap=True)


def _tell(sentence: str) -> None:
    errors.print(sentence, soft_wrap=True)
