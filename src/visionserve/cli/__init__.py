"""The command line: arguments in, calls out, tables and one-line errors back. One file per command."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import typer

from visionserve.cli import (
    archive,
    convert,
    demo,
    engines,
    evaluate,
    init,
    inspect,
    key,
    load,
    predict,
    ready,
    reload,
    serve,
    sign,
    status,
    stop,
    summary,
    verify,
    weights,
)
from visionserve.cli.console import errors, interrupted, marked, one_line
from visionserve.runtime.errors import VisionserveError

if TYPE_CHECKING:
    from types import FrameType

app = typer.Typer(
    help="Serve torchvision classifiers over REST with TorchServe.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for module in (
    serve,
    init,
    predict,
    evaluate,
    status,
    ready,
    reload,
    stop,
    weights,
    inspect,
    summary,
    convert,
    archive,
    engines,
    sign,
    verify,
    key,
    load,
    demo,
):
    module.add_commands(app)


def main() -> None:
    """Run the command line; an expected failure is one line on standard error and its exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
        signal.signal(signal.SIGHUP, _interrupt)
    try:
        app()
    except VisionserveError as error:
        errors.print(marked("bold red", "error:", f" {one_line(str(error))}"), soft_wrap=True)
        sys.exit(error.exit_code)
    except OSError as error:
        # Ours are told with their cause where they are known; a full disk can happen anywhere.
        place = f"{error.filename}: " if error.filename else ""
        what = "is a file, where a folder has to be" if isinstance(error, FileExistsError) else error.strerror
        errors.print(marked("bold red", "error:", f" {one_line(f'{place}{what or error}')}"), soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """Make SIGTERM end a command, and the server it started, as Ctrl-C does."""
    interrupted.set()
    raise KeyboardInterrupt
