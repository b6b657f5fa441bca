"""Keys come and go while a server serves: a revoked one is out at once, and nobody else notices."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest
import requests
from tests.chaos.conftest import loaded, now
from tests.chaos.harness.served import PICTURE, Served, project

from visionserve import api_key
from visionserve.server.edge.access import client_keys

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.conftest import Told

TIMES = 20


@pytest.mark.slow
def test_keys_changed_twenty_times_under_load(tmp_path: Path, told: Told) -> None:
    root = project(tmp_path, workers=1, server="keys: {file: keys.txt}\n")
    key = client_keys.new(root / "keys.txt", "traffic")
    with Served(root) as server:

        def status(key: str) -> int:
            url = f"{server.url}/predictions/quick"
            return requests.post(url, PICTURE, headers=api_key.header(key), timeout=60).status_code

        java = server.of("java")[0].pid
        revoked = ""
        with loaded(server, key=key) as traffic:
            at = now()
            for number in range(TIMES):
                other = server.run("key", "add", f"other{number}").stdout.strip()
                if revoked:
                    assert server.run("key", "remove", f"other{number - 1}").returncode == 0
                done = server.run("reload", "--keys")
                assert done.returncode == 0, done.stderr
                assert status(other) == HTTPStatus.OK
                assert not revoked or status(revoked) == HTTPStatus.UNAUTHORIZED
                revoked = other
            changed = now()
        told(f"keys changed {TIMES} times, one worker", traffic, at, changed)
        assert traffic.lost == {}
        assert traffic.count("refused") == 0
        assert server.run("ready").returncode == 0
        assert server.of("java")[0].pid == java  # keys are the edge's, so no instance is started for them
        assert server.run("reload", "--keys", "quick").returncode == 2
        # A file that is none changes nothing.
        (root / "keys.txt").write_text("a secret in clear\n")
        failed = server.run("reload", "--keys")
        assert failed.returncode == 1
        assert "keys.txt:1" in failed.stderr
        assert status(key) == HTTPStatus.OK
