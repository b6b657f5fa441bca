"""Running the server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from visionserve.cli.console import Root, errors, output

_NOT_RUNNING = 3  # what init scripts' `status` exits with when the service is not running


def add_commands(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.command("serve")(serve)
    app.command("stop")(stop)
    app.command("status")(status)


def serve(
    models: Annotated[
        list[str] | None, typer.Argument(help="Model names; every archive of models/*.yaml without.")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds the models may take to become ready.")] = 600,
    root: Root = Path(),
) -> None:
    """Run TorchServe in the foreground until Ctrl-C; say when each model is truly ready."""
    from visionserve.server import health, launcher, properties, state, store

    running = state.find(root)
    if running is not None:
        errors.print(f"already running (process {running.pid}) at {running.inference}; 'make stop' ends it")
        raise typer.Exit(1)
    archives = store.archives(root, models)
    settings = properties.Properties.read(root / properties.FILE)
    with launcher.TorchServe(archives, settings, root / "logs") as server:
        state.record(root, server)
        try:
            for name, seconds in health.wait_until_ready(server, timeout):
                url = f"{settings.inference}/predictions/{name}"
                output.print(
                    f"[green]ready[/] {name} after {seconds:.1f} s:  curl -T image.jpg {url}", soft_wrap=True
                )
            code = server.process.wait()
            errors.print(f"TorchServe ended by itself with code {code}; the logs are in {server.logs}")
            raise typer.Exit(1)
        except KeyboardInterrupt:
            output.print("stopping")
        finally:
            state.clear(root)


def stop(root: Root = Path()) -> None:
    """Stop the server that `serve` runs for this project."""
    from visionserve.server import state

    running = state.find(root)
    if running is None:
        output.print("not running")
        return
    state.stop(running)
    output.print(f"stopped (process {running.pid})")


def status(root: Root = Path()) -> None:
    """Say whether the server runs, and which models are ready; exit code 3 when it does not run."""
    from visionserve.client import Client
    from visionserve.server import state

    running = state.find(root)
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
