"""Whatever dies under load, no accepted request is lost, and the server heals by itself."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.chaos.conftest import loaded, now
from tests.chaos.harness.archive_file import ArchiveFile

if TYPE_CHECKING:
    from tests.chaos.conftest import Told
    from tests.chaos.harness.served import Served


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
        reloaded = now()
        traffic.wait_for(200)
    told("a bad archive reloaded, then a good one", traffic, at, reloaded)
    assert refused.returncode == 1
    assert "is not what was built" in refused.stderr
    assert done.returncode == 0, done.stderr
    assert traffic.lost == {}
    assert traffic.count("refused") == 0
