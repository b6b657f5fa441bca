"""One server a project, known by a lock that ends with its process."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from visionserve.server.errors import ServerError
from visionserve.server.run import lock

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import os, sys
from pathlib import Path
from visionserve.server.run import lock
with lock.held(Path(sys.argv[1]), os.getpid()):
    print("held", flush=True)
    input()
"""


def test_whoever_holds_it_is_known_until_it_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "server.lock"
    assert lock.holder(path) is None
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert lock.holder(path) == process.pid
        assert not lock.wait_until_free(path, 0.0)
        with pytest.raises(ServerError, match=rf"another server .* \(process {process.pid}\)"), lock.held(path, 1):
            pass
        process.kill()
        process.wait(10)
        assert lock.holder(path) is None
        with lock.held(path, os.getpid()):
            assert lock.holder(path) == os.getpid()
    assert lock.holder(path) is None


def test_to_look_is_not_to_hold(tmp_path: Path) -> None:
    path = tmp_path / "server.lock"
    for _ in range(200):
        with lock.held(path, os.getpid()):
            assert lock.holder(path) == os.getpid()
        assert lock.holder(path) is None
