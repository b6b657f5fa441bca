"""Many runs over settings."""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from visionserve.cli.console import Root, errors, marked, output
from visionserve.cli.load import options, session
from visionserve.load.errors import LoadError
from visionserve.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from visionserve.load.sending.generator import Session
    from visionserve.load.series.sweep import Point


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command("sweep")(sweep)


def sweep(
    model: Annotated[
        str | None, typer.Argument(help="The model.", show_default="the only one served or built")
    ] = None,
    users: Annotated[str, typer.Option(help="Closed loop: numbers of clients, 1,2,4,8.")] = "",
    rates: Annotated[str, typer.Option("--rates", help="Open loop: requests per second, 10,20,40.")] = "",
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="A key of the model's YAML and its values: batchSize=1,8 handler.topK=1,5. Repeatable.",
        ),
    ] = None,
    duration: Annotated[str, typer.Option(help="How long each point is measured.")] = "20s",
    warm_up: Annotated[str, typer.Option(help="How long traffic runs before that.")] = "3s",
    bound: Annotated[
        str | None, typer.Option(help="The latency within which an answer counts as goodput: 250ms.")
    ] = None,
    mix: options.Mix = options.DEFAULT_MIX,
    pictures: options.Own = None,
    seed: options.Seed = 1,
    out: Annotated[
        Path | None, typer.Option(help="The results' folder; that of an interrupted sweep goes on.")
    ] = None,
    url: options.Url = None,
    management: options.Management = None,
    key_file: options.KeyFile = None,
    root: Root = Path(),
) -> None:
    """Measure every combination of settings: each is served, made ready, measured and recorded."""
    from visionserve.load import plan as plans
    from visionserve.load import report
    from visionserve.load.series import sweep as sweeps

    settings = dict(_axis(text) for text in setting or [])
    usual = plans.Plan(users=8, warm_up=plans.seconds(warm_up), duration=plans.seconds(duration), seed=seed)
    loads = [replace(usual, users=int(count)) for count in (options.numbers(users) if users else [])]
    loads += [replace(usual, users=0, rate=rate) for rate in (options.numbers(rates) if rates else [])]
    points = sweeps.points(settings, loads or [usual])
    project = Project(root)
    server = session.Server.chosen(url, management, key_file)
    (name,) = session.models(project, [model] if model else None, server)
    folder = session.results_folder(project, out, [name], "sweep")
    sending = session.Sending({name: 1.0}, options.weights(mix.split(",")), 0.0, pictures)

    @contextmanager
    def serve(values: Mapping[str, Any]) -> Iterator[Session]:
        if not values:
            with session.opened(project, sending, folder, server) as opened:
                yield opened
            return
        with _served(project, name, values, sending, folder) as opened:
            yield opened

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=False),
        console=output,
    ) as progress:
        task = progress.add_task("sweep", total=len(points))
        begun = time.monotonic()

        def tell(number: int, point: Point, failure: str | None) -> None:
            progress.advance(task)
            if failure is not None:
                progress.console.print(
                    marked("red", f"{number + 1}: {point.name}", f": {failure}"), soft_wrap=True
                )
            elif time.monotonic() - begun > 1:
                progress.console.print(f"{number + 1}: {point.name}")

        sweeps.run(folder, points, serve, tell)
    written = report.write([folder], folder, None if bound is None else 1000 * plans.seconds(bound))
    output.print(f"report: {written}", soft_wrap=True)
    failures = sweeps.read(folder).failures
    if failures:
        errors.print(
            f"{len(failures)} of {len(points)} points could not be run; the same command tries them again"
        )
        raise typer.Exit(1)


@contextmanager
def _served(
    project: Project, model: str, values: Mapping[str, Any], sending: session.Sending, folder: Path
) -> Iterator[Session]:
    """A server of the model with other settings: its archive is built aside, proven, served and made ready."""
    from visionserve.archiver import builder
    from visionserve.archiver.models import catalog
    from visionserve.archiver.models.spec import ModelSpec
    from visionserve.client import Client
    from visionserve.load.sending import keeping
    from visionserve.server.instance import health, launcher
    from visionserve.server.run.warden import Warden
    from visionserve.server.settings import properties

    source = catalog.find(project.root, model)
    document = yaml.safe_load(source.read_text(encoding="utf-8"))
    for key, value in values.items():
        _set(document, key, value)
    spec = ModelSpec.from_mapping(
        model, document, f"{source} with {', '.join(f'{k}={v}' for k, v in values.items())}"
    )
    with closing(Warden()) as keeper, keeping.folder(keeper, "visionserve-sweep-") as scratch:
        for name in ("handlers", "weights", "models"):
            (scratch / name).symlink_to((project.root / name).resolve())
        built = builder.build(scratch, spec, source)
        settings = properties.Properties.read(project.config).on_free_ports()
        archives = {model: built.archive.path}
        with launcher.TorchServe(archives, settings, scratch / "logs", warden=keeper) as server:
            for _ in health.wait_until_ready(server, health.READY_TIMEOUT):
                pass
            with Client(settings.inference, settings.management) as client:
                yield session.prepare(project, archives, client, sending, folder, keeper)


def _axis(text: str) -> tuple[str, list[Any]]:
    """`KEY=VALUE,VALUE`, the values read as YAML reads them."""
    key, _, values = text.partition("=")
    if not key or not values:
        raise LoadError(f"'{text}' is no setting; write it like batchSize=1,8")
    return key.strip(), [yaml.safe_load(value) for value in values.split(",")]


def _set(document: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        document = document.setdefault(parent, {})
    document[last] = value
    if last == "minWorkers":
        document["maxWorkers"] = value
