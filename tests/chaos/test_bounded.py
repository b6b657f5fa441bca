"""What is bounded: how long a drained stop takes, and that a reload with a gap is one for clients who wait."""

from __future__ import annotations

import signal
import socket
import time
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.chaos.conftest import loaded
from tests.chaos.harness.served import Served, project

if TYPE_CHECKING:
    from collections.abc import Iterator

DRAIN = 3.0
HALF = b"POST /predictions/quick HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf"


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that waits for a few seconds at most when it is to end, whatever server.yaml says."""
    root = project(tmp_path_factory.mktemp("brief"), workers=1, server="drainSeconds: 1000\n")
    with Served(root, "--drain-seconds", str(DRAIN)) as server:
        yield server


def test_a_reload_with_a_gap_ends_the_old_one_first(brief: Served) -> None:
    before = brief.of("java")
    with loaded(brief, clients=2) as traffic:
        done = brief.run("reload", "--gap")
        after = brief.of("java")
        traffic.wait_for(20)
    print(f"\nan archive reloaded with a gap: {traffic}")  # noqa: T201
    assert done.returncode == 0, done.stderr
    assert traffic.lost == {}
    assert traffic.count("refused") > 0  # there was never a second one, for which there might be no memory
    assert not any(java.is_running() for java in before)
    assert len(after) == 1


def test_a_stop_takes_no_longer_than_it_may(brief: Served) -> None:
    left = brief.all()
    host, port = brief.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as slow:
        slow.sendall(HALF)  # the rest never comes, so there is a request to wait for
        start = time.monotonic()
        brief.process.send_signal(signal.SIGTERM)
        brief.wait_for("draining", 20)
        assert brief.process.wait(30) == 0
        seconds = time.monotonic() - start
    print(f"\nended {seconds:.1f} s after SIGTERM, of which {DRAIN:.0f} s for a request that does not come")  # noqa: T201
    assert DRAIN <= seconds < DRAIN + 25
    assert psutil.wait_procs(left, timeout=10)[1] == []
    assert not (brief.root / ".visionserve" / "run").exists()
