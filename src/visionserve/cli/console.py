"""Where the commands print, and the options they share."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from rich.status import Status

# Set when this process was asked to end: Python drops an exception that a signal raises in a finalizer.
interrupted = threading.Event()

# File names, labels and messages may hold anything: nothing in a text is taken for a style or an emoji.
output = Console(markup=False, emoji=False, highlight=False)
errors = Console(stderr=True, markup=False, emoji=False, highlight=False)


def marked(style: str, word: str, rest: str) -> Text:
    """A word in a style, and what it is about."""
    return Text.assemble((word, style), rest)


def one_line(text: str) -> str:
    """A text with nothing in it that a terminal would obey: the name of a file may hold a message of its own."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def note(text: str) -> None:
    """Say something that is no error, and that the user should know."""
    errors.print(marked("yellow", "note:", f" {text}"), soft_wrap=True)


def busy(doing: str, console: Console = errors) -> Status:
    """A spinner beside what is being done, for as long as the context lasts."""
    return console.status(Text(doing))


Root = Annotated[
    Path,
    typer.Option(
        "--root",
        help="The project's folder: models/, weights/, model_store/, config.properties.",
        envvar="VISIONSERVE_ROOT",
        file_okay=False,
        exists=True,
    ),
]

TrustPickle = Annotated[
    bool,
    typer.Option(
        "--trust-pickle",
        help="Unpickle weights that hold more than tensors: their code runs in a process of its own.",
    ),
]

Key = Annotated[
    str | None,
    typer.Option(
        help="Where in the file the state dict is, such as model_ema.",
        show_default="found automatically",
    ),
]

KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        help="A file with the API key that the server wants.",
        show_default="VISIONSERVE_API_KEY of the environment",
    ),
]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]


def print_json(document: dict[str, Any]) -> None:
    """Print a document as JSON, for programs to read."""
    typer.echo(json.dumps(document, indent=1, default=str, ensure_ascii=False))
