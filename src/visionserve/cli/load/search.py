"""The search for what a machine takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from visionserve.cli.console import Root, busy, errors, marked, output
from visionserve.cli.load import options, session
from visionserve.cli.load.run import INVALID, NOT_MET
from visionserve.load.series.search import PRECISION
from visionserve.project import Project

if TYPE_CHECKING:
    from visionserve.load.series.search import Probe


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command("search")(search)


def search(
    slo: Annotated[str, typer.Argument(help="The objective: p99<250ms.")],
    models: options.Models = None,
    most_errors: Annotated[str, typer.Option(help="The share of requests that may fail.")] = "0.1%",
    probe: Annotated[str, typer.Option(help="How long each rate is tried.")] = "15s",
    confirm: Annotated[str, typer.Option(help="How long the result is confirmed.")] = "60s",
    warm_up: Annotated[str, typer.Option(help="How long traffic runs before each counts.")] = "3s",
    precision: Annotated[
        float, typer.Option(min=0.01, help="The gap at which the search ends, as a share of the rate.")
    ] = PRECISION,
    need: Annotated[float, typer.Option(min=0, help="Requests per second to plan machines for.")] = 1000,
    mix: options.Mix = options.DEFAULT_MIX,
    bad_share: options.Bad = 0.0,
    pictures: options.Own = None,
    generators: options.Generators = 1,
    seed: options.Seed = 1,
    out: options.Out = None,
    url: options.Url = None,
    management: options.Management = None,
    key_file: options.KeyFile = None,
    root: Root = Path(),
) -> None:
    """Find the highest Poisson rate that holds an objective: 0 found, 1 none holds, 2 the generator fell short."""
    from visionserve.load import plan, report
    from visionserve.load.judging import thresholds
    from visionserve.load.series.capacity import Search
    from visionserve.load.series.search import machines

    errors_allowed = thresholds.parse(f"error_rate>{most_errors}").limit
    task = Search(
        thresholds.objective(slo),
        errors_allowed,
        plan.seconds(probe),
        plan.seconds(confirm),
        plan.seconds(warm_up),
        seed=seed,
        generators=generators,
        precision=precision,
    )
    project = Project(root)
    server = session.Server.chosen(url, management, key_file)
    kinds = options.weights(mix.split(","))
    sending = session.Sending(
        session.models(project, models, server),
        kinds,
        bad_share,
        pictures,
        generators,
    )
    folder = session.results_folder(project, out, list(sending.models), "search")
    with (
        session.opened(project, sending, folder, server) as opened,
        busy(f"searching the highest rate with {task.objective}", output),
    ):
        found = task.run(opened, folder, _tell)
    written = report.write([folder], folder, task.objective.limit)
    output.print(f"report: {written}", soft_wrap=True)
    if not found.rate:
        errors.print(f"no rate down to {found.probes[-1].rate:.1f} requests/s was confirmed with {slo}")
        raise typer.Exit(NOT_MET if found.probes[-1].valid else INVALID)
    count = machines(need, found.rate)
    output.print(
        marked(
            "bold",
            f"this machine takes {found.rate:.1f} requests/s at {task.objective}",
            f"\n{need:g} requests/s need {count} such machines, each planned to 70 % and one to spare",
        ),
    )


def _tell(probe: Probe) -> None:
    mark = ("holds", "green") if probe.holds else ("fails", "red")
    kind = " (confirming)" if probe.confirming else ""
    output.print(Text.assemble(f"  {probe.rate:8.1f} requests/s  ", mark, f"  {probe.why}{kind}"), soft_wrap=True)
