"""Options that several load commands share, and how their texts are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visionserve.cli import console
from visionserve.load.errors import LoadError
from visionserve.load.sending import corpus

if TYPE_CHECKING:
    from collections.abc import Sequence

Models = Annotated[
    list[str] | None,
    typer.Argument(
        help="The models to ask, each with a weight if they are mixed: resnet50=3 vgg16=1.",
        show_default="the only one served",
    ),
]
Mix = Annotated[
    str, typer.Option(help=f"Kinds of pictures with weights; the kinds are {', '.join(corpus.KINDS)}.")
]
DEFAULT_MIX = ",".join(f"{kind}={weight:g}" for kind, weight in corpus.DEFAULT_MIX.items())
Bad = Annotated[
    float, typer.Option("--bad-share", min=0, max=0.99, help="Share of bad pictures, which must be refused.")
]
Own = Annotated[
    Path | None, typer.Option("--pictures", help="A folder of pictures to send too.", file_okay=False, exists=True)
]
Out = Annotated[Path | None, typer.Option(help="The results' folder.", show_default="reports/MODEL-TIME")]
Generators = Annotated[int, typer.Option(min=1, help="Processes that share the load.")]
Seed = Annotated[int, typer.Option(help="Of the schedule and the choice of pictures.")]
Url = Annotated[
    str | None, typer.Option(help="The server's inference address.", show_default="the running server's")
]
Management = Annotated[
    str | None, typer.Option(help="Its management address.", show_default="the running server's")
]


KeyFile = console.KeyFile


def weights(texts: Sequence[str]) -> dict[str, float]:
    """`NAME=WEIGHT` texts, a weight of 1 where none is given.

    Raises:
        LoadError: A weight is no number, or below 0.
    """
    found = {}
    for text in texts:
        name, _, weight = text.partition("=")
        try:
            found[name.strip()] = float(weight or 1)
        except ValueError:
            raise LoadError(f"'{text}': '{weight}' is no weight") from None
        if not found[name.strip()] >= 0:
            raise LoadError(f"'{text}': a weight cannot be below 0")
    return found


def numbers(text: str) -> list[float]:
    """Numbers with commas between them.

    Raises:
        LoadError: One is none, or not above 0.
    """
    try:
        found = [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise LoadError(f"'{text}' is no list of numbers; write it like 1,2,4,8") from None
    if not found or min(found) <= 0:
        raise LoadError(f"'{text}': give at least one number, all above 0")
    return found
