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
    """Stop the server that `serve` runs for this project; requests that it has accepted are answered first."""
    from visionserve.project import Project
    from visionserve.server.run import folder, record

    project = Project(root)
    pid = record.process(project)
    if pid is None:
        ended = 0
        if project.run_folder.exists():  # of a server that was killed together with what would have ended it
            with record.held(project):
                ended = folder.clear(project)
        output.print(f"not running{f'; processes ended that a killed server had left: {ended}' if ended else ''}")
        return
    running = record.find(project)
    with output.status(f"stopping process {pid}"):
        record.stop(project, pid, running.drain_seconds if running else 0.0)
    output.print(f"stopped (process {pid})")
