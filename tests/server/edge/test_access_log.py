"""What `logs/edge.log` has of requests: each one where that is asked for, else those that an instance failed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.server.edge.access.test_client_keys import bearer

from visionserve.server.edge.access import client_keys
from visionserve.server.settings.serving import EdgeSettings, KeySettings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.edge.conftest import Front, Started


def wait_for_line(front: Front, *words: str) -> str:
    """A line of the log that has all of these words, and all of the log."""
    log, end = front.edge.own.parents[1] / "logs" / "edge.log", time.monotonic() + 10
    while not any(all(word in line.split() for word in words) for line in log.read_text().splitlines()):
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.01)
    return log.read_text()


def test_each_request_is_a_line_where_that_is_asked_for(start: Started, tmp_path: Path) -> None:
    key = client_keys.new(tmp_path / "keys", "gardener")
    front = start(edge=EdgeSettings(access_log=True), keys=KeySettings(file=str(tmp_path / "keys")))
    assert front.post(headers=bearer(key)).status_code == 200
    assert front.post().status_code == 401
    wait_for_line(front, "gardener", "POST", "/predictions/m", "200")
    log = wait_for_line(front, "POST", "/predictions/m", "401")
    assert key not in log


def test_else_only_those_are_that_an_instance_failed(start: Started) -> None:
    front = start()
    assert front.post("/predictions/well").status_code == 200
    for each in front.backends.values():
        each.failing = 10
    assert front.post("/predictions/ill").status_code == 503
    assert "/predictions/well" not in wait_for_line(front, "POST", "/predictions/ill", "503")
