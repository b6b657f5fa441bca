"""However it is told to end under load: what was accepted is answered, who comes is told, and nothing is left."""

from __future__ import annotations

import signal
import socket
import time
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.chaos.conftest import loaded, now
from tests.chaos.harness.outcomes import NOBODY
from tests.chaos.harness.served import Served, project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.chaos.conftest import Told

# Its body does not come, so there is a request to wait for.
HALF = b"POST /predictions/quick HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf"


class Manager:
    """A service manager, which hears what the server tells it."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.settimeout(30)

    def wait_for(self, state: str) -> None:
        """Wait until that is told."""
        while state not in self._socket.recv(1000).decode().splitlines():
            pass

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()


@pytest.fixture
def manager(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    path = tmp_path_factory.mktemp("manager") / "notify"
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    heard = Manager(path)
    yield heard
    heard.close()


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, *(pytest.param(each, marks=pytest.mark.slow) for each in (signal.SIGHUP, signal.SIGINT))],
)
def test_told_to_end_it_answers_what_it_accepted(
    number: signal.Signals, tmp_path: Path, told: Told, manager: Manager
) -> None:
    with Served(project(tmp_path)) as server:
        manager.wait_for("READY=1")
        left = server.all()
        with loaded(server) as traffic:
            at = now()
            server.process.send_signal(number)
            manager.wait_for("STOPPING=1")
            server.process.wait(60)
        # Who comes when it is gone finds no server; whoever came before got an answer.
        outcomes = traffic.before_the_end()
        told(f"{number.name}, until the server has ended", outcomes, at)
        assert outcomes.lost == {}
        assert server.process.returncode == 0
        assert psutil.wait_procs(left, timeout=10)[1] == []
        assert not (tmp_path / ".visionserve" / "run").exists()


@pytest.mark.slow
def test_the_stop_command_returns_when_what_was_accepted_is_answered(tmp_path: Path, told: Told) -> None:
    with Served(project(tmp_path)) as server:
        left = server.all()
        with loaded(server) as traffic:
            at = now()
            done = server.run("stop")
            traffic.wait_for(1, NOBODY)
        outcomes = traffic.before_the_end()
        told("visionserve stop, until the server has ended", outcomes, at)
        assert (done.returncode, done.stdout) == (0, f"stopped (process {server.process.pid})\n")
        assert outcomes.lost == {}
        assert server.process.wait(10) == 0
        assert psutil.wait_procs(left, timeout=10)[1] == []
        assert server.run("status").returncode == 3
        assert not (tmp_path / ".visionserve" / "run").exists()


def test_a_second_signal_hurries_and_leaves_nothing(tmp_path: Path, told: Told) -> None:
    with Served(project(tmp_path)) as server:
        left = server.all()
        host, port = server.url.removeprefix("http://").split(":")
        with loaded(server) as traffic, socket.create_connection((host, int(port))) as slow:
            slow.sendall(HALF)
            at = now()
            server.process.send_signal(signal.SIGINT)
            server.wait_for("draining", 10)
            traffic.wait_for_all_before(now())
            traffic.wait_for(traffic.clients, "refused")
            start = time.monotonic()
            server.process.send_signal(signal.SIGINT)
            assert server.process.wait(20) == 0
            assert time.monotonic() - start < 10
            traffic.wait_for(1, NOBODY)
        outcomes = traffic.before_the_end()
        told("Ctrl-C twice, until the server has ended", outcomes, at)
        assert outcomes.lost == {}
        assert psutil.wait_procs(left, timeout=10)[1] == []
        assert not (tmp_path / ".visionserve" / "run").exists()
