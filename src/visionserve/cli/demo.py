"""The whole way in one command."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from visionserve.cli import archive, weights
from visionserve.cli.console import Root, errors, output

_READY_TIMEOUT = 300.0  # seconds


def add_commands(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.command("demo")(demo)


def demo(
    model: Annotated[str, typer.Argument(help="A demo model.")] = "demo-resnet50",
    root: Root = Path(),
) -> None:
    """Make demo weights, build their archive, serve it, and classify a picture of each colour over REST."""
    from visionserve.archiver import demo as pictures
    from visionserve.client import Client
    from visionserve.project import Project
    from visionserve.server import health, launcher, properties

    project = Project(root)
    mar = project.archive(model)
    if not mar.exists():
        weights.fetch([model], root=root)
        archive.archive([model], root=root)
    settings = properties.Properties.read(project.config).on_free_ports()
    folder = project.reports / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    table = Table("picture", "expected", "answer", "probability", "ms", title=f"{model} over REST")
    wrong = 0
    with launcher.TorchServe({model: mar}, settings, project.logs / "demo") as server:
        with output.status("TorchServe is loading the model"):
            for name, seconds in health.wait_until_ready(server, _READY_TIMEOUT):
                output.print(f"[green]ready[/] {name} after {seconds:.1f} s")
        with Client(settings.inference, settings.management) as client:
            for colour, data in pictures.held_out(per_class=1):
                path = folder / f"{colour}.jpg"
                path.write_bytes(data)
                start = time.perf_counter()
                answer, probability = next(iter(client.predict(model, data).items()))
                elapsed = 1000 * (time.perf_counter() - start)
                wrong += answer != colour
                style = "green" if answer == colour else "red"
                table.add_row(str(path), colour, f"[{style}]{answer}[/]", f"{probability:.4f}", f"{elapsed:.0f}")
    output.print(table)
    if wrong:
        errors.print(f"{wrong} of {len(table.rows)} pictures were classified wrongly")
        raise typer.Exit(1)
    output.print("The server is stopped. Next: 'visionserve serve FILE', or 'visionserve serve resnet50'.")
