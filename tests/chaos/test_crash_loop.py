"""Workers that die as soon as they are there: their instance is replaced, the other one answers meanwhile."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.chaos.conftest import loaded, now
from tests.chaos.harness.served import Served, project

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.conftest import Told

CAUSE = "5 workers of quick died within 60 s"


def kill_workers(server: Served, java: psutil.Process) -> None:
    """Kill each worker of an instance when the supervisor has seen it, until the instance is replaced."""
    (first,) = [each for each in server.worker_processes() if each.ppid() == java.pid]
    first.kill()
    end = time.monotonic() + 180
    while f"is given up: {CAUSE}" not in server.said:
        assert time.monotonic() < end, server.said
        for worker in server.worker_processes():
            with suppress(psutil.NoSuchProcess):
                if worker.ppid() == java.pid and f"process {worker.pid} replaces it" in server.said:
                    worker.kill()
        time.sleep(0.05)


@pytest.mark.slow
def test_an_instance_whose_workers_die_again_and_again_is_replaced(tmp_path: Path, told: Told) -> None:
    root = project(tmp_path, workers=1, server="instances: 2\n")
    with Served(root) as server, loaded(server) as traffic:
        java, other = server.of("java")
        at = now()
        kill_workers(server, java)
        psutil.wait_procs([java], timeout=60)
        server.wait_until_whole()
        traffic.wait_for(300)
        told("every new worker of one of two instances killed, until that is replaced", traffic, at)
        assert traffic.lost == {}
        assert traffic.count("refused") == 0
        assert f"instances given up, {CAUSE}: 1" in server.run("status").stdout
        assert f"is given up: {CAUSE}" in (root / "logs" / "supervisor.log").read_text()
        assert not java.is_running()
        assert other in server.of("java") and len(server.of("java")) == 2
