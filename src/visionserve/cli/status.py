"""What the server does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.table import Table

from visionserve.cli.console import Root, note, output

if TYPE_CHECKING:
    from collections.abc import Mapping

# 3 is what init scripts' `status` exits with when the service is not running.
_STARTING, _NOT_RUNNING = 1, 3
_ANSWERED = 5.0  # seconds that an instance may take to say how it is


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command("status")(status)


def status(root: Root = Path()) -> None:
    """Say whether the server runs, and which models are ready; exit code 1 while it starts, 3 if none runs."""
    from visionserve.project import Project
    from visionserve.server.orders import giving
    from visionserve.server.run import record

    project = Project(root)
    running = record.find(project)
    if running is None:
        starting = record.process(project)
        output.print(f"starting (process {starting})" if starting else "not running")
        raise typer.Exit(_STARTING if starting else _NOT_RUNNING)
    found = giving.status(Path(running.orders)) if running.orders else None
    output.print(f"running (process {running.pid}) at {running.inference}")
    output.print(_table(found.instances if found else {"": running.management}))
    if found is None:
        return
    state = "ready" if found.is_ready else "draining" if found.is_draining else "not ready"
    output.print(f"{state}{': ' if found.trouble else ''}{found.trouble}", soft_wrap=True)
    if found.stale:
        note(found.stale)
    counts = {
        "workers started again": found.workers_restarted,
        "reloads": found.reloads,
        "HAProxy started again": found.edge_restarts,
        **{f"instances given up, {why}": count for why, count in found.replaced.items()},
    }
    output.print("; ".join(f"{what}: {count}" for what, count in counts.items()), soft_wrap=True)


def _table(instances: Mapping[str, str]) -> Table:
    """What each instance says of its models.

    Args:
        instances: The management address of each, by the name of its slot; an ill one may not answer there.
    """
    from visionserve.calls import Unreachable
    from visionserve.client import Client

    table = Table("instance", "model", "workers ready", "batch size", "queue")
    for slot, management in instances.items():
        with Client("", management, management_seconds=_ANSWERED) as client:
            try:
                for name in client.models():
                    model = client.describe(name)
                    ready, wanted = client.workers_ready(name)
                    queue = model["jobQueueStatus"]
                    waiting, free = queue["pendingRequests"], queue["remainingCapacity"]
                    row = f"{ready} of {wanted}", str(model["batchSize"]), f"{waiting} of {waiting + free}"
                    table.add_row(slot, name, *row)
            except Unreachable:
                table.add_row(slot, "does not answer")
    return table
