"""A full disk below run folder and logs: what is served goes on, and all else comes back with the room."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.chaos.conftest import loaded, now
from tests.chaos.harness.served import COMMAND, Served, project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.chaos.conftest import Told

pytestmark = pytest.mark.slow

_EVERY = 0.01  # seconds
_MEGABYTES = 400  # the server's own archive, and two instances' unpacked ones


class Disk:
    """A small file system on which a project has its run folder and its logs.

    Args:
        root: The project's folder.
    """

    def __init__(self, root: Path) -> None:
        self.path = root / "disk"
        self.path.mkdir()
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={_MEGABYTES}m", "tmpfs", self.path],
            check=True,
            capture_output=True,
        )
        for name in (".visionserve", "logs"):
            (self.path / name).mkdir()
            shutil.rmtree(root / name, ignore_errors=True)
            (root / name).symlink_to(self.path / name)
        self._filler = self.path / "filler"

    def fill(self) -> None:
        """Leave no room."""
        with self._filler.open("ab", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                return

    @contextmanager
    def kept_full(self) -> Iterator[None]:
        """Leave no room while this lasts, whatever is removed meanwhile."""
        ended = threading.Event()

        def keep() -> None:
            while not ended.wait(_EVERY):
                self.fill()

        thread = threading.Thread(target=keep)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def empty(self) -> None:
        """Give the room back."""
        self._filler.unlink()

    def unmount(self) -> None:
        """Take it away."""
        subprocess.run(["umount", "--lazy", self.path], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    project(tmp_path, workers=1)
    try:
        made = Disk(tmp_path)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    yield made
    made.unmount()


def test_a_full_disk_under_load(disk: Disk, tmp_path: Path, told: Told) -> None:
    with Served(tmp_path) as server, loaded(server) as traffic:
        disk.fill()
        at = now()
        traffic.wait_for(100)
        told_of = server.run("status").stdout
        os.kill(server.workers()[0], signal.SIGKILL)
        traffic.wait_for(100)
        with disk.kept_full():  # what the dead one leaves, and each attempt, is room for the next
            server.of("java")[0].kill()
            server.wait_for("no new instance: ", 120)
            end = now() + 60
            while "has no room left" not in (ready := server.run("ready")).stdout:
                assert now() < end, ready.stdout + server.said
            assert ready.returncode == 1
        disk.empty()
        emptied = now()
        server.wait_until_whole()
        traffic.wait_for(100)
        told("the run folder's disk full, the only worker killed, then the only Java", traffic, at, emptied)
        assert traffic.lost == {}
        assert "has no room left" in told_of
        assert "has no room left" not in server.run("status").stdout
        assert "Traceback" not in server.said


def test_a_start_on_a_full_disk_is_one_line(disk: Disk, tmp_path: Path) -> None:
    disk.fill()
    done = subprocess.run(
        [*COMMAND, "serve", "quick"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in done.stderr
    assert str(disk.path) in line or ".visionserve" in line
    assert "No space left on device" in line
