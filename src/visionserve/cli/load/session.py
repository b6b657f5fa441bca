"""Brings together a server that serves, a corpus for it, and the generator."""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from visionserve.cli.console import output
from visionserve.cli.load import options
from visionserve.load.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from visionserve.client import Client
    from visionserve.load.sending.generator import Session
    from visionserve.project import Project
    from visionserve.server.run.record import Running
    from visionserve.server.run.warden import Warden


@dataclass(frozen=True)
class Sending:
    """What is sent, as the options say it.

    Attributes:
        models: The weight of each model.
        mix: The weight of each kind of picture.
        bad_share: The share of bad pictures.
        own: A folder of pictures to send too.
        generators: Processes that share the load.
    """

    models: Mapping[str, float]
    mix: Mapping[str, float]
    bad_share: float
    own: Path | None
    generators: int = 1


@dataclass(frozen=True)
class Server:
    """Which server is asked, as the options say it.

    Attributes:
        url: The inference address, instead of the running server's.
        management: The management address, likewise.
        key: The API key that the server wants, if any.
    """

    url: str | None = None
    management: str | None = None
    key: str | None = field(default=None, repr=False)

    @classmethod
    def chosen(cls, url: str | None, management: str | None, key_file: Path | None) -> Server:
        """The server of the options.

        Raises:
            LoadError: The URL is none that load can be sent to.
            VisionserveError: The file holds no key.
        """
        from visionserve import api_key, connection

        if url is not None and url.startswith(connection.UNIX):
            raise LoadError(f"--url {url}: load is sent over TCP; name an address such as http://127.0.0.1:8080")
        return cls(url, management, api_key.find(key_file))

    def addresses(self, project: Project) -> tuple[str, str]:
        """Its inference and management address; of a URL's server nothing is known from this machine."""
        from visionserve.server.run import record

        if self.url is not None:
            return self.url, self.management or ""
        found = record.addresses(project)
        return found.inference, self.management or found.management


def results_folder(project: Project, out: Path | None, names: Sequence[str], kind: str) -> Path:
    """The folder that was asked for, else a new one named after what is measured and when.

    Raises:
        LoadError: There is something else in its place.
    """
    if out is not None and out.exists() and not out.is_dir():
        raise LoadError(f"{out}: is no folder; name one for the results with --out")
    return out or project.reports / f"{kind}-{'+'.join(names)}-{datetime.now():%Y%m%d-%H%M%S}"


def models(project: Project, named: Sequence[str] | None, server: Server) -> dict[str, float]:
    """The weight of each model to ask: those that are named, else the only one that is or could be served.

    Raises:
        LoadError: None is named, and not exactly one is there.
    """
    from visionserve.calls import Unreachable
    from visionserve.client import Client
    from visionserve.server import store

    if named:
        return options.weights(named)
    inference, management = server.addresses(project)
    if not management:
        raise LoadError(
            f"name the model that {inference} is asked for, or the --management address that lists them"
        )
    with Client(inference, management) as client:
        try:
            return {client.only_model(): 1.0}
        except Unreachable:
            if server.url is not None:
                raise
    archives = store.deployed(project)
    if len(archives) > 1:
        raise LoadError(
            f"no server runs, and {len(archives)} archives are there ({', '.join(archives)}); name one"
        )
    return {archives[0]: 1.0}


@contextmanager
def opened(
    project: Project,
    sending: Sending,
    folder: Path,
    server: Server,
    extra: Sequence[str] = (),
) -> Iterator[Session]:
    """A session with the server that runs, else with one started for as long as the context lasts.

    Args:
        project: The project.
        sending: What is sent.
        folder: The results' folder, where the corpus goes.
        server: Which server.
        extra: Further arguments for Locust.
    """
    from visionserve.client import Client
    from visionserve.server.run import record
    from visionserve.server.run.warden import Warden

    running = None if server.url else record.find(project)
    asked = server.addresses(project)
    archives = _archives(project, running, list(sending.models), asked)
    with ExitStack() as stack:
        keeper = stack.enter_context(closing(Warden()))
        addresses = _server(project, archives, asked, stack, keeper, required=server.url is not None)
        with Client(*addresses, server.key) as client:
            yield prepare(project, archives, client, sending, folder, keeper, extra)


def prepare(
    project: Project,
    archives: Mapping[str, Path],
    client: Client,
    sending: Sending,
    folder: Path,
    keeper: Warden,
    extra: Sequence[str] = (),
) -> Session:
    """A session with a server that is ready: its corpus built and written, the generator's ceiling known."""
    from visionserve.load.sending import ceiling, corpus, generator

    def ask(model: str, picture: bytes) -> str:
        return next(iter(client.predict(model, picture)))

    sent = corpus.build(archives, sending.models, ask, sending.mix, sending.bad_share, sending.own)
    sent.write(folder / generator.CORPUS)
    session = generator.Session(
        locustfile=project.locustfile,
        host=client.inference,
        corpus=sent,
        corpus_folder=folder / generator.CORPUS,
        key=client.key,
        facts=generator.facts(client, archives, project.root),
        extra=extra,
        keeper=keeper,
    )
    with output.status("measuring what the generator itself can send"):
        limit = ceiling.known(project, session, sending.generators)
    return replace(session, facts={**session.facts, "ceiling": limit})


def _archives(
    project: Project, running: Running | None, names: Sequence[str], addresses: tuple[str, str]
) -> dict[str, Path]:
    """The file of each model, which holds its known answers: what the running server serves, else the store's."""
    from visionserve.calls import Unreachable
    from visionserve.client import Client
    from visionserve.server import store

    served = {name: Path(path) for name, path in (running.archives if running else {}).items()}
    if served and not set(names) <= set(served):
        unknown = ", ".join(sorted(set(names) - set(served)))
        raise LoadError(f"{unknown} is not served; the running server has {', '.join(served)}")
    if served:
        return {name: served[name] for name in names}
    lacking = {name for name in names if not project.archive(name).is_file()}
    with Client(*addresses) as client, suppress(Unreachable):
        if lacking and client.management and lacking & set(client.models()):
            raise LoadError(
                f"the server at {addresses[0]} serves {', '.join(sorted(lacking))}, whose archive holds the right"
                f" answers and is not in {project.store}/: name the folder it was started from with --root"
            )
    return store.archives(project, names)


def _server(
    project: Project,
    archives: Mapping[str, Path],
    addresses: tuple[str, str],
    stack: ExitStack,
    keeper: Warden,
    *,
    required: bool,
) -> tuple[str, str]:
    """Where the models are served: at these addresses, else by a server that ends with the stack."""
    from visionserve.calls import Unreachable
    from visionserve.client import Client
    from visionserve.server.instance import health, launcher
    from visionserve.server.run import record
    from visionserve.server.settings import properties

    with Client(*addresses) as client:
        try:
            for name in archives if client.management else ():
                client.workers_ready(name)
            client.require()
        except Unreachable:
            if required:
                raise
        else:
            if not required and record.find(project) is None:
                output.print(f"this folder runs no server; the one at {addresses[0]} is measured", soft_wrap=True)
            return addresses
    settings = properties.Properties.read(project.config).on_free_ports()
    server = stack.enter_context(launcher.TorchServe(archives, settings, project.logs / "loadtest", warden=keeper))
    with output.status("no server runs; TorchServe is starting for this test"):
        for name, seconds in health.wait_until_ready(server, health.READY_TIMEOUT):
            output.print(f"no server was running; started one for {name} in {seconds:.1f} s")
    return settings.inference, settings.management
