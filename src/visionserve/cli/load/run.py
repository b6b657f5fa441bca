"""One run of traffic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from visionserve.cli.console import Root, busy, errors, marked, output
from visionserve.cli.load import options, session
from visionserve.project import Project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from visionserve.load.judging.judgement import Judgement
    from visionserve.load.judging.thresholds import Threshold
    from visionserve.load.judging.validity import Objection
    from visionserve.load.runs import Run

NOT_MET, INVALID = 1, 2


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command("run")(run)


def run(
    models: options.Models = None,
    users: Annotated[
        int, typer.Option(min=0, help="Closed loop: clients who wait for each answer. 8 without --rate.")
    ] = 0,
    rate: Annotated[float, typer.Option(min=0, help="Open loop: requests per second, come what may.")] = 0,
    arrivals: Annotated[str, typer.Option(help="Open loop: poisson or constant.")] = "poisson",
    duration: Annotated[str, typer.Option(help="How long is measured: 30s, 5m, 1h.")] = "30s",
    warm_up: Annotated[str, typer.Option(help="How long traffic runs before that.")] = "5s",
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            help="A condition that fails the run: p99>150ms, error_rate>0.1%, goodput<100. Repeatable.",
            show_default="error_rate>0",
        ),
    ] = None,
    bound: Annotated[
        str | None, typer.Option(help="The latency within which an answer counts as goodput: 250ms.")
    ] = None,
    mix: options.Mix = options.DEFAULT_MIX,
    bad_share: options.Bad = 0.0,
    pictures: options.Own = None,
    timeout: Annotated[str, typer.Option(help="How long a client waits for an answer.")] = "60s",
    in_flight: Annotated[int, typer.Option(min=1, help="Open loop: most requests without an answer.")] = 1000,
    generators: options.Generators = 1,
    seed: options.Seed = 1,
    ui: Annotated[bool, typer.Option("--ui", help="Open Locust's own page instead of running headless.")] = False,
    ui_port: Annotated[int, typer.Option(help="The port of that page, on loopback.")] = 8089,
    locust: Annotated[
        list[str] | None, typer.Option(help="A further argument for Locust, such as --master. Repeatable.")
    ] = None,
    out: options.Out = None,
    url: options.Url = None,
    management: options.Management = None,
    key_file: options.KeyFile = None,
    root: Root = Path(),
) -> None:
    """Send traffic and judge it: exit code 0 if every condition holds, 1 if not, 2 if the run is invalid."""
    from visionserve.load import plan as plans
    from visionserve.load.judging import thresholds
    from visionserve.load.sending import keeping

    if arrivals not in ("poisson", "constant"):
        raise typer.BadParameter(f"'{arrivals}' is neither poisson nor constant")
    bound_ms = None if bound is None else 1000 * plans.seconds(bound)
    conditions = [thresholds.parse(text) for text in fail_if or ["error_rate>0"]]
    plan = plans.Plan(
        rate=rate,
        users=users or (0 if rate else 8),
        arrivals="constant" if arrivals == "constant" else "poisson",
        warm_up=plans.seconds(warm_up),
        duration=plans.seconds(duration),
        seed=seed,
        timeout=plans.seconds(timeout),
        in_flight=in_flight,
        generators=generators,
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
    folder = session.results_folder(project, out, list(sending.models), "run")
    with session.opened(project, sending, folder, server, locust or ()) as opened:
        if ui:
            output.print(f"Locust's page: http://127.0.0.1:{ui_port} (Ctrl-C ends it)")
            page = ["--web-host", "127.0.0.1", "--web-port", str(ui_port), "--users", str(plan.users or 1)]
            endless = plans.Plan(users=plan.users or 1, warm_up=0, duration=1e9)
            with keeping.process(
                [*opened.command(endless), *page], opened.keeper, environment=opened.environment()
            ) as process:
                process.wait()
            return
        with busy(f"{', '.join(sending.models)}: {plan} for {duration} after {warm_up} of warm-up", output):
            measured = opened.run(plan, folder)
    raise typer.Exit(tell(measured, conditions, bound_ms))


def tell(measured: Run, conditions: Sequence[Threshold], bound: float | None) -> int:
    """Print what a run showed, write its report, and return the exit code."""
    from visionserve.load import report

    judged = measured.judge(bound)
    objections = measured.objections(judged)
    output.print(_table(measured, judged))
    written = report.write([measured.folder], measured.folder, bound)
    output.print(f"report: {written}; raw samples and Locust's own CSV and HTML beside it", soft_wrap=True)
    return verdict(measured, judged, objections, conditions)


def verdict(
    measured: Run, judged: Judgement, objections: Sequence[Objection], conditions: Sequence[Threshold]
) -> int:
    """Print why a run fails or is invalid, and return the exit code."""
    for objection in objections:
        errors.print(marked("bold red", "invalid:", f" {objection.text}"), soft_wrap=True)
    failed = [condition for condition in conditions if condition.holds(judged, measured.samples)]
    for condition in failed:
        value = condition.value(judged, measured.samples)
        errors.print(marked("bold red", "failed:", f" {condition}, it is {value}"), soft_wrap=True)
    if objections:
        return INVALID
    return NOT_MET if failed else 0


def _table(measured: Run, judged: Judgement) -> Table:
    from visionserve.load.outcomes import RIGHT

    table = Table(
        "", "", "95 % confidence", title=f"{', '.join(measured.models)}, {measured.plan}, {measured.seconds:.0f} s"
    )
    table.columns[1].justify = table.columns[2].justify = "right"
    table.add_row(
        "throughput",
        f"{judged.throughput.value:.1f} requests/s",
        f"{judged.throughput.low:.1f} - {judged.throughput.high:.1f}",
    )
    if judged.bound is not None:
        table.add_row(
            f"goodput within {judged.bound:g} ms",
            f"{judged.goodput.value:.1f} requests/s",
            f"{judged.goodput.low:.1f} - {judged.goodput.high:.1f}",
        )
    for q in (50.0, 95.0, 99.0):
        estimate = judged.latency[q]
        table.add_row(f"latency p{q:g}", f"{estimate.value:.1f} ms", f"{estimate.low:.1f} - {estimate.high:.1f}")
    for stage, value in judged.stages.items():
        table.add_row(f"  of it {stage}, mean", f"{value:.1f} ms", "")
    wrong = {outcome: count for outcome, count in judged.outcomes.items() if count and outcome not in RIGHT}
    table.add_row("failed or wrong", f"{sum(wrong.values())} of {judged.requests}", "")
    for outcome, count in wrong.items():
        table.add_row(f"  {outcome.meaning}", str(count), "")
    return table
