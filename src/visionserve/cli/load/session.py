"""Brings together a server that serves, a corpus for it, and the generator."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from visionserve.cli.console import output

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from visionserve.client import Client
    from visionserve.load.generator import Session

_READY_TIMEOUT = 300.0  # seconds


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


def results_folder(root: Path, out: Path | None, names: Sequence[str], kind: str) -> Path:
    """The folder that was asked for, else a new one named after what is measured and when."""
    return out or root / "reports" / f"{kind}-{'+'.join(names)}-{datetime.now():%Y%m%d-%H%M%S}"


@contextmanager
def opened(
    root: Path, sending: Sending, folder: Path, url: str | None, management: str | None, extra: Sequence[str] = ()
) -> Iterator[Session]:
    """A session with the server that runs, else with one started for as long as the context lasts.

    Args:
        root: The project's folder.
        sending: What is sent.
        folder: The results' folder, where the corpus goes.
        url: The inference address, instead of the one in config.properties.
        management: The management address, likewise.
        extra: Further arguments for Locust.
    """
    from visionserve.client import Client
    from visionserve.server import store

    archives = store.archives(root, list(sending.models))
    with ExitStack() as stack:
        addresses = _server(root, archives, url, management, stack)
        with Client(*addresses) as client:
            yield prepare(root, archives, client, sending, folder, extra)


def prepare(
    root: Path,
    archives: Mapping[str, Path],
    client: Client,
    sending: Sending,
    folder: Path,
    extra: Sequence[str] = (),
) -> Session:
    """A session with a server that is ready: its corpus built and written, the generator's ceiling known."""
    from visionserve.load import ceiling, corpus, generator

    def ask(model: str, picture: bytes) -> str:
        return next(iter(client.predict(model, picture)))

    sent = corpus.build(archives, sending.models, ask, sending.mix, sending.bad_share, sending.own)
    sent.write(folder / generator.CORPUS)
    session = generator.Session(
        locustfile=root / generator.LOCUSTFILE,
        host=client.inference,
        corpus=sent,
        corpus_folder=folder / generator.CORPUS,
        facts=generator.facts(client, archives, root),
        extra=extra,
    )
    with output.status("measuring what the generator itself can send"):
        limit = ceiling.known(root, session, sending.generators)
    return replace(session, facts={**session.facts, "ceiling": limit})


def _server(
    root: Path, archives: Mapping[str, Path], url: str | None, management: str | None, stack: ExitStack
) -> tuple[str, str]:
    from visionserve.client import Client, Unreachable
    from visionserve.server import health, launcher, properties

    settings = properties.Properties.read(root / properties.FILE)
    addresses = (url or settings.inference, management or settings.management)
    with Client(*addresses) as client:
        try:
            for name in archives:
                client.workers_ready(name)
        except Unreachable:
            if url is not None:
                raise
        else:
            return addresses
    settings = settings.on_free_ports()
    server = stack.enter_context(launcher.TorchServe(archives, settings, root / "logs" / "loadtest"))
    with output.status("no server runs; TorchServe is starting for this test"):
        for name, seconds in health.wait_until_ready(server, _READY_TIMEOUT):
            output.print(f"no server was running; started one for {name} in {seconds:.1f} s")
    return settings.inference, settings.management
