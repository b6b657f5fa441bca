"""Whatever dies under load, no accepted request is lost, and the server heals by itself."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.chaos.archive_file import ArchiveFile
from tests.chaos.conftest import loaded, now
from tests.chaos.served import Served, project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.chaos.conftest import Told


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
    ("number", "fault"),
    [(signal.SIGKILL, "one of two workers killed"), (signal.SIGSTOP, "one of two workers stopped (SIGSTOP)")],
    ids=["killed", "stopped"],
)
def test_one_of_two_workers_is_gone(number: signal.Signals, fault: str, served: Served, told: Told) -> None:
    served.wait_until_whole()
    with loaded(served) as traffic:
        at = now()
        os.kill(served.workers()[0], number)
        served.wait_until_whole()
        traffic.wait_for(900)  # until the other is back
    told(fault, traffic, at)
    assert traffic.lost == {}
    assert traffic.count("refused") == 0


def test_both_workers_killed(served: Served, told: Told) -> None:
    served.wait_until_whole()
    with loaded(served) as traffic:
        at = now()
        for pid in served.workers():
            os.kill(pid, signal.SIGKILL)
        served.wait_until_whole()
        traffic.wait_for(300)
    told("both workers killed", traffic, at)
    assert traffic.lost == {}


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        pytest.param(signal.SIGKILL, "the only Java killed", id="killed"),
        pytest.param(signal.SIGSTOP, "the only Java stopped (SIGSTOP)", id="stopped", marks=pytest.mark.slow),
    ],
)
def test_java_is_gone(number: signal.Signals, fault: str, served: Served, told: Told) -> None:
    served.wait_until_whole()
    with loaded(served) as traffic:
        at = now()
        (java,) = served.of("java")
        java.send_signal(number)
        psutil.wait_procs([java], timeout=30)
        served.wait_until_whole()
        traffic.wait_for(300)
    told(fault, traffic, at)
    assert traffic.lost == {}
    assert "Java ended with code -9" in served.run("status").stdout
    assert served.of("java")[0].pid != java.pid


def test_the_edge_killed_is_started_again(served: Served) -> None:
    served.wait_until_whole()
    killed = served.of("haproxy")[0]
    for process in (killed, *killed.children()):
        process.kill()
    served.wait_for("HAProxy ended", 10)
    served.wait_until_whole()
    with loaded(served) as traffic:
        pass
    assert traffic.lost == {}


def test_good_and_bad_archives_reloaded(served: Served, told: Told) -> None:
    served.wait_until_whole()
    archive = ArchiveFile(served.root / "model_store" / "quick.mar")
    with loaded(served) as traffic:
        at = now()
        archive.replace(good=False)
        refused = served.run("reload")
        archive.replace(good=True)
        done = served.run("reload", "quick")
        traffic.wait_for(200)
    told("a bad archive reloaded, then a good one", traffic, at)
    assert refused.returncode == 1
    assert "is not what was built" in refused.stderr
    assert done.returncode == 0, done.stderr
    assert traffic.lost == {}
    assert traffic.count("refused") == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)])
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
        gone = min(each.start for each in traffic.asked if each.outcome == "ConnectionRefusedError")
        traffic.asked[:] = [each for each in traffic.asked if each.start < gone]
        told(f"{number.name}, until the server has ended", traffic, at)
        assert traffic.lost == {}
        assert server.process.returncode == 0
        assert psutil.wait_procs(left, timeout=10)[1] == []
        assert not (tmp_path / ".visionserve" / "run").exists()


def test_a_second_signal_hurries_and_leaves_nothing(tmp_path: Path) -> None:
    with Served(project(tmp_path)) as server:
        left = server.all()
        # Its body does not come, so there is a request to wait for.
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as slow:
            slow.sendall(b"POST /predictions/quick HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf")
            server.process.send_signal(signal.SIGINT)
            server.wait_for("draining", 10)
            start = time.monotonic()
            server.process.send_signal(signal.SIGINT)
            assert server.process.wait(20) == 0
            assert time.monotonic() - start < 10
        assert psutil.wait_procs(left, timeout=10)[1] == []
        assert not (tmp_path / ".visionserve" / "run").exists()


def warden(server: Served) -> psutil.Process:
    """What ends the server's processes when the supervisor is killed."""
    (found,) = [each for each in server.of("python") if any(word.endswith("warden.py") for word in each.cmdline())]
    return found


def test_a_killed_supervisor_leaves_no_orphan_and_the_next_start_cleans_up(tmp_path: Path) -> None:
    root = project(tmp_path)
    with Served(root) as server:
        warden(server).kill()
        end = time.monotonic() + 20
        while "the warden was killed" not in (root / "logs" / "supervisor.log").read_text():
            assert time.monotonic() < end
            time.sleep(0.05)
        left = server.all()
        server.process.kill()
        assert psutil.wait_procs(left, timeout=20)[1] == []
        assert server.run("status").returncode == 3
    with Served(root) as server, loaded(server) as traffic:
        pass
    assert traffic.lost == {}
