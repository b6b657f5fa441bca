"""Whether the server may be asked, for whoever decides by an exit code."""

from __future__ import annotations

from pathlib import Path

import typer

from visionserve.cli.console import Root, output

_NOT_READY, _NOT_RUNNING = 1, 3


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command("ready")(ready)


def ready(root: Root = Path()) -> None:
    """Exit with 0 if every model is proven and all workers are there, 1 if not, 3 if no server runs."""
    from visionserve.client import Client
    from visionserve.project import Project
    from visionserve.server.instance import health
    from visionserve.server.run import record
    from visionserve.server.supervision import orders

    project = Project(root)
    running = record.find(project)
    if running is None:
        loading = record.process(project)
        output.print("loading" if loading else "not running")
        raise typer.Exit(_NOT_READY if loading else _NOT_RUNNING)
    if running.orders:
        found = orders.status(Path(running.orders))
        if not found.is_ready:
            why = found.trouble or ("draining" if found.is_draining else "workers are missing")
            output.print(f"not ready: {why}")
            raise typer.Exit(_NOT_READY)
    with Client(running.own or running.inference) as client:
        for name, archive in running.archives.items():
            health.require_known_answer(client, name, Path(archive))
    output.print("ready")
