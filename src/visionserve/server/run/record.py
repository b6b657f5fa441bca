"""What a running server says of itself, so that another command can find it, ask it, and end it."""

from __future__ import annotations

import json
import os
import signal
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from visionserve.server.errors import ServerError, writing
from visionserve.server.run import lock
from visionserve.server.settings.properties import Properties

if TYPE_CHECKING:
    from collections.abc import Iterator

    from visionserve.project import Project

_BEYOND_DRAIN = 30.0  # seconds that all else of an ending takes at most


@dataclass(frozen=True)
class Running:
    """A server that `visionserve serve` runs.

    Attributes:
        inference: Base URL of the address that clients ask.
        management: Where the management API of the instance is that was started last: a base URL, or `unix:` and a
            socket's path.
        archives: The file of each model in it.
        orders: The socket on which its supervisor takes orders; empty without one.
        drain_seconds: The longest that accepted requests may take when it is to end.
        own: Where its own commands ask, as clients do but without a key; empty where that is the clients' address.
        pid: The process id of the command that runs it.
    """

    inference: str
    management: str
    archives: dict[str, str]
    orders: str = ""
    drain_seconds: float = 0.0
    own: str = ""
    pid: int = 0


@contextmanager
def held(project: Project) -> Iterator[None]:
    """Be the one that runs this project's server while the context lasts.

    Raises:
        ServerError: Another process is.
    """
    with lock.held(project.lock, os.getpid()):
        project.run_record.unlink(missing_ok=True)
        try:
            yield
        finally:
            project.run_record.unlink(missing_ok=True)


def write(project: Project, running: Running) -> None:
    """Say what this process runs.

    Raises:
        ServerError: It cannot be written.
    """
    document = asdict(running)
    del document["pid"]
    beside = project.run_record.with_suffix(".new")
    with writing(beside):
        beside.write_text(json.dumps(document), encoding="utf-8")
        beside.replace(project.run_record)


def find(project: Project) -> Running | None:
    """The project's server, if one runs and has said where.

    The lock says whether it runs, which the kernel lets go of with the process; the record alone says nothing.
    """
    pid = lock.holder(project.lock)
    if pid is None:
        return None
    with suppress(OSError, ValueError, TypeError):
        return Running(**{**json.loads(project.run_record.read_text(encoding="utf-8")), "pid": pid})
    return None


def process(project: Project) -> int | None:
    """The process that runs the project's server, or still starts it; None if there is none."""
    return lock.holder(project.lock)


@dataclass(frozen=True)
class Addresses:
    """Where a server listens.

    Attributes:
        inference: Base URL of the address that clients ask.
        management: Where its management API is.
        near: Where this user asks from this machine: with TLS a private address, for a certificate names a server
            by what others call it.
    """

    inference: str
    management: str
    near: str = ""


def addresses(project: Project) -> Addresses:
    """Where the project's server listens: as it said when it started, else as config.properties says.

    Raises:
        ServerError: No server runs, and config.properties cannot be read.
    """
    running = find(project)
    if running is not None:
        private = running.inference.startswith("https:") and running.own
        return Addresses(running.inference, running.management, private or running.inference)
    settings = Properties.read(project.config)
    return Addresses(settings.inference, settings.management, settings.inference)


def stop(project: Project, pid: int, drain_seconds: float) -> None:
    """Ask the command that runs a project's server to end, and wait until it has.

    Args:
        project: The project.
        pid: The process id of that command.
        drain_seconds: The longest that accepted requests may take.

    Raises:
        ServerError: It is still there after that and half a minute.
    """
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    seconds = drain_seconds + _BEYOND_DRAIN
    if not lock.wait_until_free(project.lock, seconds):
        raise ServerError(f"process {pid} did not end within {seconds:.0f} s; 'kill -9 {pid}' ends all of it")
