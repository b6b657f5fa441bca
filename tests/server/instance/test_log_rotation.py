"""What an instance logs is bounded, however much its workers say and however often it is started."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from tests.conftest import REPOSITORY
from tests.support.packed import MEMBERS, found

from visionserve.archiver import mar
from visionserve.runtime.archive import CONFIG_FILE
from visionserve.server.instance import launcher
from visionserve.server.instance.launcher import TorchServe
from visionserve.server.settings.properties import Properties

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 20 << 20  # bytes of a file, as docs/production.md says
LINES = 460_000  # of a hundred bytes and what TorchServe puts before each: enough to fill two files
TALKATIVE = f"""
import time
for number in range({LINES}):
    print("line", number, "x" * 90)
print("all is said", flush=True)
time.sleep(600)
"""


def ends(log: Path, words: str) -> bool:
    """Whether a log file, if it is there, says so at its end."""
    with suppress(FileNotFoundError):  # it got its number just now
        return words in log.read_text()[-1000:]
    return False


@pytest.mark.slow
def test_a_talkative_worker_fills_no_more_files_than_there_may_be(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    earlier = ["", *(f".{number}" for number in range(1, 6))]
    for age, suffix in enumerate(earlier):
        (logs / f"workers.log{suffix}").write_text(f"run {age}")
    archive = tmp_path / "net.mar"
    changed = {mar.HANDLER_FILE: TALKATIVE.encode(), CONFIG_FILE: b"minWorkers: 1\nmaxWorkers: 1\n"}
    with mar.packed(archive, "net", found(tmp_path), {**MEMBERS, **changed}):
        pass
    properties = Properties.read(REPOSITORY / "config.properties").on_free_ports()
    with TorchServe({"net": archive}, properties, logs):
        end = time.monotonic() + 120
        while not ends(logs / "workers.log", "all is said"):
            assert time.monotonic() < end, sorted(path.name for path in logs.iterdir())
            time.sleep(0.1)
    files = {path.name: path.stat().st_size for path in logs.glob("workers*")}
    assert files.keys() == {f"workers.log{suffix}" for suffix in earlier}
    assert max(files.values()) < LARGEST + 10_000
    # The newest is 1, and the files of earlier runs go on being counted behind those of this one.
    full = [name for name, size in files.items() if size >= LARGEST]
    rotated = sorted(full)
    assert rotated == [f"workers.log.{number}" for number in range(1, len(full) + 1)] and len(full) >= 2
    kept = [(logs / f"workers.log.{number}").read_text() for number in range(len(full) + 1, 6)]
    assert kept == [f"run {age}" for age in range(5 - len(full))]


def test_each_start_numbers_what_the_runs_before_left(tmp_path: Path) -> None:
    """As often as it is started, there are six of each at most."""
    for number in range(20):
        launcher._keep_earlier(tmp_path)
        for name in ("server.log", "workers.log", "java.log"):
            (tmp_path / name).write_text(f"run {number}")
        # What log4j makes of a file that is full.
        (tmp_path / "server.log.1").write_text(f"run {number}, full")
    assert len(list(tmp_path.iterdir())) == 3 * 6
