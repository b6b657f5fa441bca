"""demo, load tests and sweeps start servers of their own: whatever ends the command, nothing of them stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.conftest import REPOSITORY
from tests.support import quick

from visionserve.server.settings.properties import Properties

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

NAME = "quick"
COMMANDS = {
    "demo": ["demo", NAME, "--offline"],
    "load run": ["load", "run", NAME, "--users", "2", "--duration", "60s"],
    "load sweep": ["load", "sweep", NAME, "--users", "2", "--duration", "60s"],
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one archive, which nothing serves."""
    folder = quick.project(tmp_path_factory.mktemp("tools"))
    (folder / "tests").symlink_to(REPOSITORY / "tests")
    (folder / "models" / "demo" / "photographs").symlink_to(REPOSITORY / "models" / "demo" / "photographs")
    quick.build(folder, NAME, workers=1, max_pixels=4_000_000)
    Properties.read(REPOSITORY / "config.properties").on_free_ports().write(folder / "config.properties")
    return folder


def killed(process: subprocess.Popen[bytes]) -> None:
    process.kill()


def hung_up(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGHUP)


def interrupted_twice(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)  # as fast as a person who is in a hurry
    process.send_signal(signal.SIGINT)


@contextmanager
def started(words: list[str], root: Path, temporary: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A command, in a folder for temporary files of its own; what it says goes into a file beside that."""
    temporary.mkdir()
    with (
        temporary.with_name("said").open("wb") as said,
        subprocess.Popen(
            [sys.executable, "-m", "visionserve", *words],
            cwd=root,
            stdout=said,
            env={**os.environ, "TMPDIR": str(temporary), "COLUMNS": "200"},
            start_new_session=True,
            # Whoever runs the tests by nohup ignores it, and so would the command.
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def below(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def serves(command: str, process: subprocess.Popen[bytes], said: Path) -> bool:
    """Whether the command's server is ready: demo says so, and load tests start Locust then."""
    if command == "demo":
        return said.read_text().count("ready") > 0
    lines = []
    for each in below(process):
        with suppress(psutil.Error):
            lines.append(" ".join(each.cmdline()))
    return any("locust" in line for line in lines)


@pytest.mark.parametrize("end", [killed, hung_up, interrupted_twice])
@pytest.mark.parametrize("command", COMMANDS)
def test_whatever_ends_it_nothing_stays(
    command: str, end: Callable[[subprocess.Popen[bytes]], None], root: Path, tmp_path: Path
) -> None:
    temporary = tmp_path / "tmp"
    with started(COMMANDS[command], root, temporary) as process:
        deadline = time.monotonic() + 120
        while not serves(command, process, tmp_path / "said"):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        left = below(process)
        assert any(each.name() == "java" for each in left)
        assert list(temporary.iterdir())
        end(process)
        code = process.wait(60)
    assert code == (-signal.SIGKILL if end is killed else 130)
    assert psutil.wait_procs(left, timeout=20)[1] == []
    deadline = time.monotonic() + 10  # the warden removes it last
    while found := list(temporary.iterdir()):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
