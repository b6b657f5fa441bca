"""A contender's processes: started in a session of their own, watched, and ended by their ids."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil
import requests

from benchmarks.errors import NotRun

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_STOP_TIMEOUT = 15.0  # seconds from SIGTERM to SIGKILL
_START_TIMEOUT = 300.0  # seconds
_POLL = 0.05  # seconds
_LINES_SHOWN = 3


class Tree:
    """A process and all of its descendants."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)

    def members(self) -> list[psutil.Process]:
        """Those that live now."""
        with suppress(psutil.NoSuchProcess):
            return [self._root, *self._root.children(recursive=True)]
        return []

    def cpu_seconds(self) -> float:
        """User and system time of all of them so far."""
        total = 0.0
        for member in self.members():
            with suppress(psutil.Error):
                times = member.cpu_times()
                total += times.user + times.system
        return total

    def pause(self) -> None:
        """Stop all of them where they are: an idle server that polls would take time from the measured one."""
        for member in self.members():
            with suppress(psutil.Error):
                member.suspend()

    def resume(self) -> None:
        """Let them go on."""
        for member in self.members():
            with suppress(psutil.Error):
                member.resume()

    def workers(self) -> list[dict[str, float]]:
        """Memory in MB of each process that has torch loaded, largest first: `rss`, `pss` and `uss`."""
        found = []
        for member in self.members():
            with suppress(psutil.Error):
                if any("libtorch_cpu" in mapped.path for mapped in member.memory_maps()):
                    memory = member.memory_full_info()
                    sizes = {"rss": memory.rss, "pss": memory.pss, "uss": memory.uss}
                    found.append({key: round(value / 1e6, 1) for key, value in sizes.items()})
        return sorted(found, key=lambda sizes: -sizes["rss"])


class Child:
    """A command that runs until it is stopped.

    Args:
        command: What to run.
        log: Where its output goes.
        folder: Its working directory.
        variables: Environment variables to set; those set to None are removed.
    """

    def __init__(
        self, command: Sequence[str], log: Path, folder: Path, variables: Mapping[str, str | None]
    ) -> None:
        environment = {key: value for key, value in os.environ.items() if key not in variables}
        environment.update({key: value for key, value in variables.items() if value is not None})
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.tree = Tree(self.process.pid)

    def wait_until(self, ready: Callable[[], bool], name: str) -> None:
        """Wait for a condition.

        Raises:
            NotRun: The command ended, or took five minutes.
        """
        end = time.monotonic() + _START_TIMEOUT
        while not ready():
            if self.process.poll() is not None:
                raise NotRun(f"{name} ended with code {self.process.returncode}: {self.last_lines()}")
            if time.monotonic() > end:
                raise NotRun(f"{name} was not ready after {_START_TIMEOUT:.0f} s: {self.last_lines()}")
            time.sleep(_POLL)

    def last_lines(self) -> str:
        """The end of its log, as one line."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return " | ".join(line.strip() for line in lines[-_LINES_SHOWN:]) or "it printed nothing"

    def stop(self) -> None:
        """End the command and all it started."""
        self.tree.resume()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_STOP_TIMEOUT)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for_port(port: int) -> None:
    """Wait until something listens on a loopback port.

    Raises:
        NotRun: Nothing does after five minutes.
    """
    end = time.monotonic() + _START_TIMEOUT
    while time.monotonic() < end:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(_POLL)
    raise NotRun(f"nothing listens on port {port}")


def answers(url: str, body: bytes, content_type: str) -> bool:
    """Whether a server answers a request with 200."""
    session = requests.Session()
    session.trust_env = False  # a proxy from the environment never leads to loopback
    with session, suppress(requests.RequestException):
        return session.post(url, data=body, headers={"Content-Type": content_type}, timeout=60).status_code == 200
    return False
