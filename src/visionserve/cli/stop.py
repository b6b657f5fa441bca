"""Ending the server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from visionserve.cli.console import Root, output

if TYPE_CHECKING:
    import typer


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command("stop")(stop)


def stop(root: Root = Path()) -> None:
    """Stop the server that `serve` runs for this project."""
    from visionserve.project import Project
    from visionserve.server import state

    running = state.find(Project(root))
    if running is None:
        output.print("not running")
        return
    with output.status(f"stopping process {running.pid}"):
        state.stop(running)
    output.print(f"stopped (process {running.pid})")
