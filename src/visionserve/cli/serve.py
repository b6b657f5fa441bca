"""Running the server."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visionserve.cli import stated as options
from visionserve.cli import supervised
from visionserve.cli.archive import show
from visionserve.cli.console import Key, Root, TrustPickle, busy, errors, interrupted, note, output

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from visionserve.archiver.assumptions import Stated
    from visionserve.project import Project
    from visionserve.server.instance.admission import Admission
    from visionserve.server.instance.launcher import TorchServe

_POLL = 0.5  # seconds


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command("serve")(serve)


def serve(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TARGET",
            help="Weights files, .mar files, model names, torchvision classifiers; several of any kind together."
            " Without any: the archives of models/*.yaml, else all in model_store/.",
            show_default=False,
        ),
    ] = None,
    labels: options.Labels = None,
    architecture: options.Architecture = None,
    name: options.Name = None,
    resize: options.Resize = None,
    crop: options.Crop = None,
    mean: options.Mean = None,
    std: options.Std = None,
    key: Key = None,
    trust_pickle: TrustPickle = False,
    check: options.Check = None,
    min_accuracy: options.MinAccuracy = None,
    trusted_key: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Serve only archives that the owner of this public key has signed, and build none; several may be"
            " given.",
            show_default=False,
        ),
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Download no weights.")] = False,
    edge: Annotated[
        bool | None,
        typer.Option(
            "--edge/--no-edge",
            help="Serve through HAProxy, which retries, queues, limits and drains; or TorchServe alone.",
            show_default="--edge where there is an HAProxy, or a server.yaml",
        ),
    ] = None,
    drain_seconds: Annotated[
        float | None,
        typer.Option(
            help="The longest that accepted requests may take when the server is told to end.",
            show_default="drainSeconds of server.yaml, else 30",
            min=0,
        ),
    ] = None,
    print_config: Annotated[
        bool,
        typer.Option(
            "--print-config",
            help="Print what TorchServe and HAProxy would be run with for archives that are built, and end.",
        ),
    ] = False,
    timeout: Annotated[float, typer.Option(help="Seconds the models may take to become ready.")] = 600,
    root: Root = Path(),
) -> None:
    """Serve models over REST in the foreground until Ctrl-C; say when each is truly ready.

    A weights file is inspected, packed into model_store/NAME.mar and served. What it does not say is assumed and
    printed; the options override it. Weights of a torchvision classifier that are not here are downloaded.
    """
    from visionserve.archiver.assumptions import Stated
    from visionserve.project import Project
    from visionserve.server import store
    from visionserve.server.run import record

    project = Project(root)
    if edge is False and project.serving.exists():
        note(f"{project.serving} is not read: this is without HAProxy, so without keys, limits and draining")
    edge = edge is not False and supervised.has_haproxy(project, required=edge is True)
    admit = _trusting(trusted_key or [], edge=edge)
    if print_config:
        shown = supervised.configuration(project, targets or [], drain_seconds, edge=edge)
        output.print(shown, soft_wrap=True, end="")
        return
    running = record.find(project)
    if running is not None:
        errors.print(f"already running (process {running.pid}) at {running.inference}; 'visionserve stop' ends it")
        raise typer.Exit(1)
    said = options.read(
        name=name,
        architecture=architecture,
        key=key,
        labels=labels,
        resize=resize,
        crop=crop,
        mean=mean,
        std=std,
        trust_pickle=trust_pickle,
        check=check,
        min_accuracy=min_accuracy,
    )
    if not targets and (offline or said != Stated()):
        raise typer.BadParameter("options about weights need a target: visionserve serve FILE --labels ...")
    if trusted_key:
        # Building may run code that nobody signed: an architecture of one's own, a pickle.
        targets = [str(store.find(project, target)) for target in targets or []]
    archives = _prepared(project, targets, said, offline=offline) if targets else store.archives(project, [])
    with record.held(project):
        if edge:
            supervised.run(project, archives, timeout, admit, drain_seconds)
        else:
            _run_alone(project, archives, timeout, admit)


def _trusting(files: Sequence[Path], *, edge: bool) -> Admission:
    """What is served: without any keys, what the user names."""
    from visionserve.server.instance import admission

    if not files:
        return admission.copied if edge else admission.linked
    from visionserve.signatures.keys import PublicKey

    keys = [PublicKey.read(file) for file in files]
    for key in keys:
        if key.exposed:
            note(f"{key.path} may be changed by others (mode {key.exposed}): chmod 644 {key.path}")
    return admission.copied_if_signed_by(keys)


def _prepared(project: Project, targets: list[str], said: Stated, *, offline: bool) -> Mapping[str, Path]:
    from visionserve.archiver import resolution
    from visionserve.server import store

    def step(sentence: str) -> None:
        errors.print(sentence, soft_wrap=True)

    progress = resolution.Progress(step, busy, options.show, show)
    ready = resolution.prepare(project, targets, said, progress, offline=offline)
    for target in ready:
        store.require_undamaged(target.archive)
    return {target.name: target.archive for target in ready}


def _run_alone(project: Project, archives: Mapping[str, Path], timeout: float, admit: Admission) -> None:
    """One TorchServe at the addresses of config.properties: nothing is retried, and nothing drained."""
    from visionserve.server.instance import health, launcher
    from visionserve.server.run import record
    from visionserve.server.settings import properties

    settings = properties.Properties.read(project.config)
    with launcher.TorchServe(archives, settings, project.logs, admit) as server:
        served = {name: str(path.resolve()) for name, path in server.archives.items()}
        record.write(project, record.Running(settings.inference, settings.management, served))
        loading = set(archives)
        try:
            with busy(f"TorchServe is loading {', '.join(archives)}"):
                for name, seconds in health.wait_until_ready(server, timeout):
                    loading.remove(name)
                    supervised.show_ready(name, seconds, settings.inference)
            code = _wait(server)
            errors.print(f"TorchServe ended by itself with code {code}; the logs are in {server.logs}")
            raise typer.Exit(1)
        except KeyboardInterrupt:
            output.print("stopping")
            if loading:
                raise


def _wait(server: TorchServe) -> int:
    """The exit code of a server that ends by itself; a KeyboardInterrupt when this process is asked to end."""
    while not interrupted.is_set():
        with suppress(subprocess.TimeoutExpired):
            return server.process.wait(_POLL)
    raise KeyboardInterrupt
