"""The image, built for real on a Debian made here, and a container of it that may do as little as can be."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING

from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

BASE, IMAGE = "localhost/visionserve-base", "localhost/visionserve"
_START_SECONDS = 180.0
# What a container is denied, all of it at once. Only its volume can be written: no tmpfs of podman's either.
DENIED = ("--read-only", "--read-only-tmpfs=false", "--cap-drop=all", "--security-opt=no-new-privileges")


def podman(*words: str, check: bool = True, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
    """Run podman."""
    done = subprocess.run(["podman", *words], capture_output=True, text=True, check=False, timeout=timeout)
    assert done.returncode == 0 or not check, f"podman {' '.join(words)}: {done.stderr}"
    return done


def build(root: Path) -> str:
    """The image, as `make container` builds it; what podman is to be told beside comes in BUILD."""
    if podman("image", "exists", BASE, check=False).returncode != 0:
        subprocess.run(
            ["debootstrap", "--variant=minbase", "bookworm", str(root / "base")],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=900,
        )
        with subprocess.Popen(["tar", "-C", str(root / "base"), "-c", "."], stdout=subprocess.PIPE) as packed:
            subprocess.run(["podman", "import", "-", BASE], stdin=packed.stdout, check=True, timeout=300)
    subprocess.run(["make", "container", f"BASE={BASE}"], cwd=REPOSITORY, check=True, timeout=3000)
    return IMAGE


class Container:
    """A container of the image; a context manager that leaves none behind.

    Args:
        store: The folder with the archives.
        words: Further words for `podman run`.
    """

    def __init__(self, store: Path, *words: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.id = podman(
            *("run", "--detach", *DENIED, "--stop-timeout=60", f"--publish=127.0.0.1:{port}:8080"),
            *(f"--volume={store}:/srv/visionserve/model_store:ro", *words, IMAGE),
        ).stdout.strip()

    def __enter__(self) -> Container:
        try:
            self.wait_until_healthy()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def remove(self) -> None:
        """Leave nothing of it, its volume neither."""
        podman("rm", "--force", "--volumes", "--time=0", self.id, check=False)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command in it."""
        return podman("exec", self.id, *words, check=False)

    def python(self, program: str) -> str:
        """What a program in it prints."""
        done = self.run("python", "-c", program)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    @property
    def said(self) -> str:
        """All that it has printed."""
        done = podman("logs", self.id)
        return done.stdout + done.stderr

    @property
    def health(self) -> str:
        """What podman holds its health to be; where no timer of systemd's asks for it, it is asked here."""
        podman("healthcheck", "run", self.id, check=False)
        return podman("inspect", "--format={{.State.Healthcheck.Status}}", self.id).stdout.strip()

    def wait_until_healthy(self) -> None:
        """Wait until its health check says so."""
        end = time.monotonic() + _START_SECONDS
        while self.health != "healthy":
            running = json.loads(podman("inspect", "--format={{json .State.Running}}", self.id).stdout)
            assert running, f"it has ended: {self.said}"
            assert time.monotonic() < end, f"it does not become healthy: {self.said}"

    def processes(self) -> list[tuple[int, str, str]]:
        """Process id, state and name of each process in it."""
        printed = self.python(
            "import psutil\nfor p in psutil.process_iter():\n"
            "    try: print(p.pid, p.status(), p.name())\n    except psutil.NoSuchProcess: pass"
        )
        split = (line.split(maxsplit=2) for line in printed.splitlines())
        return [(int(pid), state, name) for pid, state, name in split]


def may_run() -> str:
    """Why no image can be built here; nothing if one can."""
    for program in ("podman", "debootstrap"):
        if shutil.which(program) is None:
            return f"there is no {program}: apt-get install podman debootstrap"
    return "" if os.geteuid() == 0 else "debootstrap needs root"
