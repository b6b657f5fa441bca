"""A server beside others: what it listens on, what it does not disturb, and two instances in one."""

from __future__ import annotations

import socket
import statistics
import subprocess
import time
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.chaos.conftest import loaded, now
from tests.chaos.harness.served import COMMAND, Served, project

from visionserve.runtime.machine import cores
from visionserve.server.settings.properties import Properties

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.conftest import Told
    from tests.chaos.harness.outcomes import Outcomes


def listeners(server: Served) -> set[tuple[str, int]]:
    """Where any of its processes can be reached over a network, or over loopback."""
    pids = {process.pid for process in server.all()}
    found: set[tuple[str, int]] = set()
    for each in psutil.net_connections("inet"):
        if each.pid in pids and each.status == psutil.CONN_LISTEN and each.laddr:
            host, port = each.laddr
            found.add((str(host).removeprefix("::ffff:"), int(port)))
    return found


def test_nothing_listens_beyond_what_was_asked_for(served: Served) -> None:
    host, port = served.url.removeprefix("http://").split(":")
    beyond = listeners(served) - {(host, int(port))}
    assert (host, int(port)) in listeners(served)
    # TorchServe cannot do without its two gRPC ports, but nobody can connect to them.
    assert len(beyond) == 2
    for grpc in beyond:
        for where in (grpc[0], "127.0.0.1"):
            with pytest.raises(OSError, match=r"unreachable|refused"):
                socket.create_connection((where, grpc[1]), 1)
    run = served.root / ".visionserve" / "run"
    assert run.stat().st_mode & 0o777 == 0o700
    assert (run / "a").exists() or (run / "b").exists()


def test_a_taken_port_is_one_line_and_soon(tmp_path: Path) -> None:
    root = project(tmp_path)
    address = Properties.read(root / "config.properties").inference.removeprefix("http://")
    host, port = address.split(":")
    with socket.create_server((host, int(port))):
        start = time.monotonic()
        done = subprocess.run(
            [*COMMAND, "serve", "quick"], cwd=root, capture_output=True, text=True, check=False, timeout=60
        )
    assert done.returncode == 1
    assert time.monotonic() - start < 30
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error")]
    assert address in line
    assert not (root / ".visionserve" / "run").exists()


def p99(outcomes: Outcomes, since: float, until: float) -> float:
    """The milliseconds of a request than which one of a hundred that ended between two moments took longer."""
    seconds = [each.end - each.start for each in list(outcomes.asked) if since <= each.end < until]
    return 1000 * statistics.quantiles(seconds, n=100)[-1]


@pytest.mark.slow
def test_what_one_server_suffers_the_other_does_not(served: Served, alone: Served, told: Told) -> None:
    served.wait_until_whole()
    alone.wait_until_whole()
    (java,), (other,) = served.of("java"), alone.of("java")
    with loaded(served) as traffic, loaded(alone) as beside:
        begun = now()
        beside.wait_for(100)  # of both, so that there is a before
        at = now()
        java.kill()
        served.wait_until_whole()
        whole = now()
        traffic.wait_for(100)
        beside.wait_for(100)
    change = f"p99 {p99(beside, begun, at):.0f} ms before, {p99(beside, at, whole):.0f} ms until that is back"
    told("the only Java killed, another server beside it under the same load", traffic, at)
    told(f"that other server: {change}", beside, at)
    assert traffic.lost == {}
    assert beside.lost == {}
    assert beside.count("refused") == 0
    assert alone.of("java") == [other]


@pytest.mark.slow
def test_two_servers_and_two_instances(served: Served, tmp_path: Path, told: Told) -> None:
    root = project(tmp_path, workers=1, server="instances: 2\n")
    with Served(root) as other:
        assert other.url != served.url
        assert not listeners(other) & listeners(served)
        # Decoders are as many as the threads that compute, and a process more starts them.
        started = [len(worker.children(recursive=True)) - 1 for worker in other.worker_processes()]
        assert started == [max(1, cores.available() // 2)] * 2
        with loaded(other) as traffic:
            at = now()
            other.of("java")[0].kill()
            traffic.wait_for(300)
            other.wait_until_whole()
        told("one of two Javas killed, one worker each", traffic, at)
        assert traffic.lost == {}
        assert traffic.count("refused") == 0
        with loaded(other) as traffic:
            at = now()
            other.worker_processes()[0].kill()
            traffic.wait_for(300)
            other.wait_until_whole()
            whole = now()
        told("the worker of one of two instances killed", traffic, at)
        assert traffic.lost == {}
        assert traffic.count("refused") == 0
        assert traffic.longest < whole - at  # nobody waited until it was back
    with loaded(served) as traffic:
        pass
    assert traffic.lost == {}
