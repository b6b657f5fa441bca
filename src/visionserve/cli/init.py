"""Starting a model's YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visionserve.cli import stated as options
from visionserve.cli.console import Key, Root, TrustPickle, busy, output


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command("init")(init)


def init(
    file: Annotated[Path, typer.Argument(help="A weights file of any form.", show_default=False)],
    labels: options.Labels = None,
    architecture: options.Architecture = None,
    name: options.Name = None,
    resize: options.Resize = None,
    crop: options.Crop = None,
    mean: options.Mean = None,
    std: options.Std = None,
    key: Key = None,
    trust_pickle: TrustPickle = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a YAML that is there.")] = False,
    root: Root = Path(),
) -> None:
    """Write models/NAME.yaml from a weights file, commented, for you to edit."""
    from visionserve.archiver import assumptions, draft
    from visionserve.project import Project

    project = Project(root)
    said = options.read(
        name=name,
        architecture=architecture,
        key=key,
        labels=labels,
        resize=resize,
        crop=crop,
        mean=mean,
        std=std,
        trust_pickle=trust_pickle,
    )
    if not force:
        draft.require_new(project, name or assumptions.model_name(file))
    with busy(f"reading {file}"):
        assumed = assumptions.assume(project, file, said)
    options.show(assumed)
    for path in draft.write(project, assumed, labels, force=force):
        output.print(f"written: {path}", soft_wrap=True)
    trusted = " --trust-pickle" if trust_pickle else ""
    output.print(
        f"next: visionserve serve {assumed.spec.name}{trusted}",
        soft_wrap=True,
    )
