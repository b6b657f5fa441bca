"""Load testing."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from visionserve.cli.console import Root, errors, output

_READY_TIMEOUT = 300.0  # seconds


def add_commands(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.command("loadtest")(loadtest)


def loadtest(
    model: Annotated[str, typer.Argument(help="The model to ask.")] = "resnet50",
    users: Annotated[int, typer.Option(min=1, help="Clients at once, each waiting for its answer.")] = 8,
    duration: Annotated[str, typer.Option(help="How long: 30s, 5m, 1h.")] = "30s",
    ui: Annotated[bool, typer.Option("--ui", help="Open Locust's own page instead of running headless.")] = False,
    ui_port: Annotated[int, typer.Option(help="The port of that page, on loopback.")] = 8089,
    root: Root = Path(),
) -> None:
    """Measure throughput and latency with Locust; fail on any failed or wrong answer."""
    from visionserve.load import locust
    from visionserve.server import store

    mar = store.archives(root, [model])[model]
    with ExitStack() as stack:
        host = _server(root, model, mar, stack)
        if ui:
            output.print(f"Locust's page: http://127.0.0.1:{ui_port} (Ctrl-C ends it)")
            command = locust.command(root, host, model, mar)
            subprocess.run([*command, "--web-host", "127.0.0.1", "--web-port", str(ui_port)], check=False)
            return
        folder = root / "reports" / f"{model}-{datetime.now():%Y%m%d-%H%M%S}"
        with output.status(f"{users} users ask {model} for {duration}"):
            measured = locust.run(root, host, model, mar, users, duration, folder)
    table = Table("", "", show_header=False, title=f"{model}, {users} users, closed loop, {duration}")
    table.columns[1].justify = "right"
    table.add_row("throughput", f"{measured.throughput:.1f} requests/s")
    for name in ("p50", "p95", "p99"):
        table.add_row(f"latency {name}", f"{getattr(measured, name):.0f} ms")
    table.add_row("failed or wrong", f"{measured.failures} of {measured.requests}")
    output.print(table)
    output.print(f"reports: {folder / 'report.html'} and {folder}/*.csv", soft_wrap=True)
    if measured.failures:
        errors.print(f"{measured.failures} of {measured.requests} answers failed or were wrong; see the report")
        raise typer.Exit(1)


def _server(root: Path, model: str, mar: Path, stack: ExitStack) -> str:
    """The inference address of the server that serves the model: the running one, else one started for this."""
    from visionserve.client import Client, Unreachable
    from visionserve.server import health, launcher, properties

    settings = properties.Properties.read(root / properties.FILE)
    with Client(settings.inference, settings.management) as client:
        try:
            client.workers_ready(model)
        except Unreachable:
            pass
        else:
            return settings.inference
    settings = settings.on_free_ports()
    server = stack.enter_context(launcher.TorchServe({model: mar}, settings, root / "logs" / "loadtest"))
    for name, seconds in health.wait_until_ready(server, _READY_TIMEOUT):
        output.print(f"no server was running; started one for {name} in {seconds:.1f} s")
    return settings.inference
