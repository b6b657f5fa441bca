"""What the server does."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.table import Table

from visionserve.cli.console import Root, output

_NOT_RUNNING = 3  # what init scripts' `status` exits with when the service is not running


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command("status")(status)


def status(root: Root = Path()) -> None:
    """Say whether the server runs, and which models are ready; exit code 3 when it does not run."""
    from visionserve.client import Client
    from visionserve.project import Project
    from visionserve.server.run import record
    from visionserve.server.supervision import orders

    running = record.find(Project(root))
    if running is None:
        output.print("not running")
        raise typer.Exit(_NOT_RUNNING)
    table = Table("model", "workers ready", "batch size", "queue")
    with Client(running.inference, running.management) as client:
        for name in client.models():
            model = client.describe(name)
            ready, wanted = client.workers_ready(name)
            queue = model["jobQueueStatus"]
            waiting, free = queue["pendingRequests"], queue["remainingCapacity"]
            table.add_row(name, f"{ready} of {wanted}", str(model["batchSize"]), f"{waiting} of {waiting + free}")
    output.print(f"running (process {running.pid}) at {running.inference}")
    output.print(table)
    if running.orders:
        said = next(orders.give(Path(running.orders), {"order": "status"}))
        state = "ready" if said["ready"] else "draining" if said["draining"] else "not ready"
        output.print(f"{state}{': ' if said['trouble'] else ''}{said['trouble']}")
        counts = {
            "workers started again": said["workersRestarted"],
            "reloads": said["reloaded"],
            "HAProxy started again": said["edgesRestarted"],
            **{f"instances replaced, {why}": count for why, count in said["replaced"].items()},
        }
        output.print("; ".join(f"{what}: {count}" for what, count in counts.items()))
