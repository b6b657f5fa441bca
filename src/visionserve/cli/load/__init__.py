"""Load testing: traffic, and what it showed."""

from __future__ import annotations

import typer

from visionserve.cli.load import report, run, search, soak, sweep


def add_commands(app: typer.Typer) -> None:
    """Add this room's commands, as `visionserve load ...`."""
    load = typer.Typer(help="Measure a server's throughput, latency and correctness.", no_args_is_help=True)
    for room in (run, search, sweep, soak, report):
        room.add_commands(load)
    app.add_typer(load, name="load")
