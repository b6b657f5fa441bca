"""Whether the server may be asked, for whoever decides by an exit code."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from visionserve.cli.console import Root, output

if TYPE_CHECKING:
    from visionserve.server.run.record import Running

_NOT_READY, _NOT_RUNNING = 1, 3
_ANSWERED = 10.0  # seconds for all golden pictures: whoever asks has less than half a minute


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command("ready")(ready)


def ready(root: Root = Path()) -> None:
    """Exit with 0 if every model is proven and all workers are there, 1 if not, 3 if no server runs."""
    from visionserve.project import Project
    from visionserve.server.orders import giving
    from visionserve.server.run import record

    project = Project(root)
    running = record.find(project)
    if running is None:
        loading = record.process(project)
        output.print("loading" if loading else "not running")
        raise typer.Exit(_NOT_READY if loading else _NOT_RUNNING)
    if running.orders:
        found = giving.status(Path(running.orders))
        if not found.is_ready:
            lacking = "workers are missing" if found.instances else "there is no instance"
            why = found.trouble or ("draining" if found.is_draining else lacking)
            output.print(f"not ready: {why}", soft_wrap=True)
            raise typer.Exit(_NOT_READY)
    in_time = _is_proven(running)
    output.print("ready" if in_time else f"ready, and so busy that answers take more than {_ANSWERED:g} s")


def _is_proven(running: Running) -> bool:
    """Whether every model answers a golden picture rightly in time; if not, the edge says that all is well.

    A server that has more to do than it can is well, and its supervisor goes on proving its workers meanwhile: who
    started it anew then would do so in the middle of a rush.

    Raises:
        ServerError: A model answers wrongly, or with an error.
        Unreachable: Nothing answers.
        Refused: The edge says that all is not well.
    """
    from visionserve.calls import TIMEOUT, Unreachable
    from visionserve.client import Client
    from visionserve.server.instance import health

    address, begun = running.own or running.inference, time.monotonic()
    for name, archive in running.archives.items():
        left = max(begun + _ANSWERED - time.monotonic(), _ANSWERED / 10)
        try:
            with Client(address, seconds=left if running.own else TIMEOUT) as client:
                health.require_known_answer(client, name, health.known_answer(Path(archive)))
        except Unreachable:
            if not running.own:
                raise
            with Client(address, seconds=_ANSWERED / 2) as client:
                client.require_ready()
            return False
    return True
