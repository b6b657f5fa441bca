"""Load testing: traffic, and what it showed."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import typer

from visionserve.cli.load import report, run, search, soak, sweep
from visionserve.load.errors import LoadError

_PACKAGES = ("locust", "pyarrow", "scipy")


def _require_installed() -> None:
    """Refuse in one line what the extra's packages are lacking for."""
    missing = [package for package in _PACKAGES if find_spec(package) is None]
    if missing and "--help" not in sys.argv:
        raise LoadError(f"load tests need {', '.join(missing)}: install visionserve's extra 'load'")


def add_commands(app: typer.Typer) -> None:
    """Add this room's commands, as `visionserve load ...`."""
    load = typer.Typer(
        help="Measure a server's throughput, latency and correctness.",
        no_args_is_help=True,
        callback=_require_installed,
    )
    for module in (run, search, sweep, soak, report):
        module.add_commands(load)
    app.add_typer(load, name="load")
