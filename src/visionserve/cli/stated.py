"""The options that say of a weights file what it does not tell itself, and how what was assumed is shown."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visionserve.cli.console import errors, marked

if TYPE_CHECKING:
    from visionserve.archiver.assumptions import Assumed, Stated

_PANEL = "Override what is assumed of a weights file"

Labels = Annotated[
    Path | None,
    typer.Option(
        help="A file with one label a line in class order, or index_to_name.json.", rich_help_panel=_PANEL
    ),
]
Architecture = Annotated[
    str | None,
    typer.Option(
        help="A torchvision classifier, or package.module:function of your own.",
        show_default="the one whose names and shapes the file has",
        rich_help_panel=_PANEL,
    ),
]
Name = Annotated[
    str | None,
    typer.Option(help="The name to serve it by.", show_default="the file's", rich_help_panel=_PANEL),
]
_BROUGHT = "as the architecture's torchvision weights"
Resize = Annotated[
    int | None,
    typer.Option(help="The shorter side, in pixels.", show_default=_BROUGHT, rich_help_panel=_PANEL),
]
Crop = Annotated[
    int | None,
    typer.Option(help="The side of the centre crop, in pixels.", show_default=_BROUGHT, rich_help_panel=_PANEL),
]
Mean = Annotated[
    str | None,
    typer.Option(
        help="Mean of red, green and blue in [0, 1]: 0.485,0.456,0.406.",
        metavar="R,G,B",
        show_default=_BROUGHT,
        rich_help_panel=_PANEL,
    ),
]
Std = Annotated[
    str | None,
    typer.Option(
        help="Standard deviation of red, green and blue: 0.229,0.224,0.225.",
        metavar="R,G,B",
        show_default=_BROUGHT,
        rich_help_panel=_PANEL,
    ),
]
Check = Annotated[
    Path | None,
    typer.Option(
        help="Labelled pictures to try the model on: a folder with one subfolder per class, or a CSV of names and"
        " classes.",
        show_default=False,
    ),
]
MinAccuracy = Annotated[
    float | None,
    typer.Option(help="The share of those pictures that it must be right about, such as 0.9.", show_default=False),
]


def absolute(path: Path | None) -> Path | None:
    """A path as seen from where the user stands, whatever the project's folder is."""
    return path and Path(os.path.abspath(path))  # noqa: PTH100  # resolve() would follow links


def read(
    *,
    mean: str | None,
    std: str | None,
    resize: int | None,
    crop: int | None,
    check: Path | None = None,
    **said: Any,
) -> Stated:
    """What the options say.

    Raises:
        SpecError: A value is impossible.
    """
    from visionserve.archiver.assumptions import Stated
    from visionserve.archiver.models.spec import InputChanges

    changes = InputChanges(resize=resize, crop=crop, mean=_colours("--mean", mean), std=_colours("--std", std))
    return Stated(input=changes, check=absolute(check), **said)


def show(assumed: Assumed) -> None:
    """Print what was found in a weights file and taken for granted."""
    errors.print(marked("bold", assumed.spec.name, ", taken for granted:"))
    for topic, fact in assumed.facts.items():
        errors.print(f"  {topic:<13} {fact}", soft_wrap=True)


def _colours(option: str, text: str | None) -> tuple[float, float, float] | None:
    if text is None:
        return None
    try:
        red, green, blue = (float(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise typer.BadParameter(f"'{text}': write three numbers, such as {option} 0.5,0.5,0.5") from None
    return red, green, blue
