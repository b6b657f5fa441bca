"""A long constant load, watched for growth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from visionserve.cli.console import Root, busy, errors, output
from visionserve.cli.load import options, session
from visionserve.cli.load.run import NOT_MET, tell
from visionserve.project import Project

_READINGS = 600


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command("soak")(soak)


def soak(
    models: options.Models = None,
    rate: Annotated[
        float,
        typer.Option(
            min=0,
            help="Requests per second; half of what closed-loop clients get if not given.",
            show_default=False,
        ),
    ] = 0,
    duration: Annotated[str, typer.Option(help="How long: 10m, 1h, 24h.")] = "1h",
    warm_up: Annotated[str, typer.Option(help="How long traffic runs before growth counts.")] = "60s",
    mix: options.Mix = options.DEFAULT_MIX,
    bad_share: options.Bad = 0.0,
    pictures: options.Own = None,
    seed: options.Seed = 1,
    out: options.Out = None,
    url: options.Url = None,
    management: options.Management = None,
    key_file: options.KeyFile = None,
    root: Root = Path(),
) -> None:
    """Run a constant rate, and fail when memory, file handles or latency grow: 0 steady, 1 grows, 2 invalid."""
    from visionserve.load import plan as plans
    from visionserve.load.judging import soak as judge
    from visionserve.load.judging import thresholds

    project = Project(root)
    server = session.Server.chosen(url, management, key_file)
    seconds, before = plans.seconds(duration), plans.seconds(warm_up)
    kinds = options.weights(mix.split(","))
    sending = session.Sending(session.models(project, models, server), kinds, bad_share, pictures)
    folder = session.results_folder(project, out, list(sending.models), "soak")
    with session.opened(project, sending, folder, server) as opened:
        if not rate:
            first = opened.run(plans.Plan(users=8, warm_up=3, duration=10), folder / "closed-loop")
            rate = first.judge().throughput.value / 2
            if not rate > 0:
                errors.print(f"no right answer came; see {first.folder / 'locust.html'}")
                raise typer.Exit(NOT_MET)
        plan = plans.Plan(rate=rate, arrivals="constant", warm_up=before, duration=seconds, seed=seed)
        with busy(f"{plan} for {duration} after {warm_up} of warm-up", output):
            run = opened.run(plan, folder, purpose="soak", interval=max(1.0, seconds / _READINGS))
    code = tell(run, [thresholds.parse("error_rate>0")], None)
    table = Table("", "mean", "change per hour", "95 % confidence", "grows", title="drift")
    drifts = judge.drifts(run)
    for drift in drifts:
        grows = Text("yes", "red") if drift.grows else "no"
        slope = drift.slope
        table.add_row(
            drift.what,
            f"{drift.mean:.1f} {drift.unit}",
            f"{slope.value:+.1f}",
            f"{slope.low:+.1f} to {slope.high:+.1f}",
            grows,
        )
    output.print(table)
    raise typer.Exit(NOT_MET if any(drift.grows for drift in drifts) else code)
