"""A killed supervisor takes all of it along; where its warden was killed too, the next command ends the rest."""

from __future__ import annotations

import signal
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.chaos.conftest import loaded, now
from tests.chaos.harness.served import Served, project

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chaos.conftest import Told
    from tests.chaos.harness.outcomes import Outcomes
    from tests.chaos.harness.traffic import Traffic

NOT_RUNNING = 3


def warden(server: Served) -> psutil.Process:
    """What ends the server's processes when the supervisor is killed."""
    (found,) = [each for each in server.of("python") if any(word.endswith("warden.py") for word in each.cmdline())]
    return found


def served_again(root: Path, traffic: Traffic) -> Outcomes:
    """What became of the requests until another server has served them for a while."""
    with Served(root):
        again = now()
        traffic.wait_for(300)
        outcomes = traffic.take()
    # Each client has one connection, which is cut once; meanwhile it finds nobody, and no answer is wrong.
    assert sum(outcomes.lost.values()) == outcomes.of_connections
    assert outcomes.cut <= traffic.clients
    assert {each.outcome for each in outcomes.asked if each.start > again} == {"answered"}
    return outcomes


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for the server's temporary files: short, for sockets are reached by a link in it."""
    with tempfile.TemporaryDirectory(prefix="t-") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


def test_a_killed_supervisor_leaves_no_orphan_and_the_next_start_cleans_up(
    tmp_path: Path, told: Told, temporary: Path
) -> None:
    # To a path as long as that there is a short link among the temporary files, which must go too.
    folder = tmp_path / ("long" * 20)
    folder.mkdir()
    root = project(folder)
    with Served(root) as server:
        assert list(temporary.iterdir()) != []
        warden(server).kill()
        end = time.monotonic() + 20
        while "the warden was killed" not in (root / "logs" / "supervisor.log").read_text():
            assert time.monotonic() < end
            time.sleep(0.05)
        with loaded(server) as traffic:
            left = server.all()
            at = now()
            server.process.kill()
            assert psutil.wait_procs(left, timeout=20)[1] == []
            assert not (root / ".visionserve" / "run").exists()
            assert list(temporary.iterdir()) == []
            assert server.run("status").returncode == NOT_RUNNING
            told("the supervisor killed, until the next one serves", served_again(root, traffic), at)


@contextmanager
def orphaned(server: Served) -> Iterator[list[psutil.Process]]:
    """Kill supervisor and warden at once: neither notices the other's end. What is left ends with the context."""
    both = [psutil.Process(server.process.pid), warden(server)]
    left = [each for each in server.all() if each not in both]
    try:
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for process in both:
                process.send_signal(number)
        assert psutil.wait_procs(both, timeout=10)[1] == []
        assert server.run("status").returncode == NOT_RUNNING
        yield left
    finally:
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()


@pytest.mark.slow
def test_the_next_start_ends_what_supervisor_and_warden_left_that_were_killed_at_once(
    tmp_path: Path, told: Told
) -> None:
    root = project(tmp_path)
    with Served(root) as server, loaded(server) as traffic:
        at = now()
        with orphaned(server) as left:
            traffic.wait_for(50)  # by orphans
            assert {"java", "haproxy", "python"} <= {each.name() for each in left if each.is_running()}
            outcomes = served_again(root, traffic)
            assert psutil.wait_procs(left, timeout=0)[1] == []
        told("supervisor and warden killed at once, until the next one serves", outcomes, at)


@pytest.mark.slow
def test_the_stop_command_ends_them_too(tmp_path: Path) -> None:
    root = project(tmp_path)
    with Served(root) as server, orphaned(server) as left:
        done = server.run("stop")
        assert (done.returncode, done.stdout) == (
            0,
            f"not running; processes ended that a killed server had left: {len(left)}\n",
        )
        assert psutil.wait_procs(left, timeout=0)[1] == []
        assert not (root / ".visionserve" / "run").exists()
        assert server.run("stop").stdout == "not running\n"
