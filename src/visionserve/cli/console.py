"""Where the commands print, and the options they share."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

# Set when this process was asked to end: Python drops an exception that a signal raises in a finalizer.
interrupted = threading.Event()

output = Console()
errors = Console(stderr=True)

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
