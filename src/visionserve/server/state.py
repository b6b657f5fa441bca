"""The record of a project's running server, so that another command can find and stop it."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import time
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import psutil

from visionserve.server.errors import ServerError
from visionserve.server.settings.properties import Properties

if TYPE_CHECKING:
    from collections.abc import Iterator

    from visionserve.project import Project
    from visionserve.server.instance.launcher import TorchServe

_STOP_TIMEOUT = 30.0  # seconds
_POLL = 0.05  # seconds


@dataclass(frozen=True)
class Running:
    """A server that `visionserve serve` started.

    Attributes:
        pid: The process id of the supervising command.
        started: When that process began, in seconds since the epoch; tells it from a later one of the same id.
        java: The process id of TorchServe, which leads a session of its own.
        java_started: When that process began.
        folder: The server's private folder.
        inference: Base URL of the inference address.
        management: Base URL of the management address.
        archives: The file of each served model.
    """

    pid: int
    started: float
    java: int
    java_started: float
    folder: str
    inference: str
    management: str
    archives: dict[str, str]


@contextmanager
def only_one(project: Project) -> Iterator[None]:
    """Let no other command start a server for this project while the context lasts.

    Raises:
        ServerError: Another one is starting or runs a server.
    """
    path = project.run_record.with_suffix(".lock")
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ServerError("another 'visionserve serve' is starting or running in this folder") from error
        yield


def record(project: Project, server: TorchServe) -> None:
    """Write down that this process runs `server` for a project."""
    me, java = psutil.Process(), psutil.Process(server.process.pid)
    running = Running(
        pid=me.pid,
        started=me.create_time(),
        java=java.pid,
        java_started=java.create_time(),
        folder=str(server.folder),
        inference=server.properties.inference,
        management=server.properties.management,
        archives={name: str(path.resolve()) for name, path in server.archives.items()},
    )
    path = project.run_record
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(asdict(running)), encoding="utf-8")


def find(project: Project) -> Running | None:
    """The project's running server: its supervising command lives, or the server outlived it."""
    try:
        running = Running(**json.loads(project.run_record.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    if any(type(pid) is not int or pid <= 0 for pid in (running.pid, running.java)):
        return None
    return running if _lives(running.pid, running.started) or _lives(running.java, running.java_started) else None


@dataclass(frozen=True)
class Addresses:
    """Where a server listens.

    Attributes:
        inference: Base URL of the inference address.
        management: Base URL of the management address.
    """

    inference: str
    management: str


def addresses(project: Project) -> Addresses:
    """Where the project's server listens: as it was recorded when it started, else as config.properties says.

    Raises:
        ServerError: No server is recorded, and config.properties cannot be read.
    """
    running = find(project)
    if running is not None:
        return Addresses(running.inference, running.management)
    settings = Properties.read(project.config)
    return Addresses(settings.inference, settings.management)


def clear(project: Project) -> None:
    """Forget the project's server, if it is this process that runs it."""
    running = find(project)
    if running is None or running.pid == os.getpid():
        project.run_record.unlink(missing_ok=True)


def stop(running: Running) -> None:
    """End a server by asking the command that supervises it, and wait until it is gone.

    A server whose supervisor was killed is killed with its workers.

    Raises:
        ServerError: It is still there after half a minute.
    """
    if _lives(running.pid, running.started):
        with suppress(ProcessLookupError):
            os.kill(running.pid, signal.SIGTERM)
        _wait_until_gone(running.pid, running.started)
    else:
        with suppress(ProcessLookupError):
            os.killpg(running.java, signal.SIGKILL)
        _wait_until_gone(running.java, running.java_started)
        shutil.rmtree(running.folder, ignore_errors=True)


def _wait_until_gone(pid: int, started: float) -> None:
    end = time.monotonic() + _STOP_TIMEOUT
    while _lives(pid, started):
        if time.monotonic() > end:
            raise ServerError(f"process {pid} did not end within {_STOP_TIMEOUT:.0f} s; kill it")
        time.sleep(_POLL)


def _lives(pid: int, started: float) -> bool:
    """Whether that very process runs; one whose parent has not asked for its exit code yet does not."""
    try:
        process = psutil.Process(pid)
        return process.create_time() == started and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
