"""The record of a project's running server, so that another command can find and stop it."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import psutil

from visionserve.server.errors import ServerError

if TYPE_CHECKING:
    from pathlib import Path

_FILE = ".visionserve/server.json"
_STOP_TIMEOUT = 30.0  # seconds
_POLL = 0.05  # seconds


@dataclass(frozen=True)
class Running:
    """A server that `visionserve serve` started.

    Attributes:
        pid: The process id of the supervising command.
        started: When that process began, in seconds since the epoch; tells it from a later one of the same id.
        java: The process id of TorchServe.
        inference: Base URL of the inference address.
        management: Base URL of the management address.
        models: The served models.
    """

    pid: int
    started: float
    java: int
    inference: str
    management: str
    models: list[str]


def record(root: Path, java: int, inference: str, management: str, models: list[str]) -> None:
    """Write down that this process runs a server for the project at `root`."""
    me = psutil.Process()
    running = Running(me.pid, me.create_time(), java, inference, management, models)
    path = root / _FILE
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(asdict(running)), encoding="utf-8")


def find(root: Path) -> Running | None:
    """The project's running server, if its process still lives."""
    try:
        running = Running(**json.loads((root / _FILE).read_text(encoding="utf-8")))
        alive = psutil.Process(running.pid).create_time() == running.started
    except (OSError, ValueError, TypeError, psutil.Error):
        return None
    return running if alive else None


def clear(root: Path) -> None:
    """Forget the project's server."""
    (root / _FILE).unlink(missing_ok=True)


def stop(running: Running) -> None:
    """End a server by asking the command that supervises it, and wait until it is gone.

    Raises:
        ServerError: It is still there after half a minute.
    """
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(running.pid)
        process.terminate()
        end = time.monotonic() + _STOP_TIMEOUT
        # A process whose parent has not asked for its exit code yet is gone all the same.
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > end:
                raise ServerError(f"process {running.pid} did not end within {_STOP_TIMEOUT:.0f} s; kill it")
            time.sleep(_POLL)
