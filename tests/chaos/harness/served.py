"""A real supervised server in a folder of its own, as `visionserve serve` runs it."""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import requests
from tests.support import quick

from visionserve.archiver.demo import colours
from visionserve.client import Client
from visionserve.server.settings.properties import Properties

if TYPE_CHECKING:
    from types import TracebackType

REPOSITORY = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "visionserve"]
PICTURE = colours.picture("red", 0)
_WORKER = "model_service_worker.py"
_START_SECONDS = 300.0
_END_SECONDS = 60.0


def project(root: Path, workers: int = 2, server: str = "") -> Path:
    """A folder with an archive `quick`, free ports and a `server.yaml`."""
    quick.project(root)
    (root / "model_store").mkdir()
    shutil.copy(_archive(workers), root / "model_store")
    Properties.read(REPOSITORY / "config.properties").on_free_ports().write(root / "config.properties")
    (root / "server.yaml").write_text(server)
    return root


@functools.cache
def _archive(workers: int) -> Path:
    """An archive that so many workers serve, built once for all tests of a run."""
    root = Path(tempfile.mkdtemp(prefix="archive-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    quick.build(quick.project(root), "quick", workers=workers)
    return root / "model_store" / "quick.mar"


class Served:
    """The server; a context manager that leaves none behind.

    Args:
        root: The project's folder.
        words: Further words for `visionserve serve quick`.
    """

    def __init__(self, root: Path, *words: str) -> None:
        self.root = root
        self._out = (root / "serve.out").open("w+")
        self.process = subprocess.Popen(
            [*COMMAND, "serve", "quick", *words],
            cwd=root,
            stdout=self._out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "COLUMNS": "200"},
            start_new_session=True,
            # Whoever runs the tests by nohup ignores it, and so would the server.
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        )

    def __enter__(self) -> Served:
        try:
            self.wait_for("ready quick")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(_END_SECONDS)
        finally:
            self.process.kill()
            self.process.wait()
            self._out.close()

    @property
    def said(self) -> str:
        """All that it has printed."""
        return (self.root / "serve.out").read_text()

    def wait_for(self, words: str, timeout: float = _START_SECONDS) -> None:
        """Wait until it has printed so."""
        end = time.monotonic() + timeout
        while words not in self.said:
            assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.said}"
            assert time.monotonic() < end, f"it did not say {words!r}: {self.said}"
            time.sleep(0.05)

    @property
    def url(self) -> str:
        """Where clients ask."""
        return str(self._record["inference"])

    @property
    def _record(self) -> dict[str, str]:
        return dict(json.loads((self.root / ".visionserve" / "server.json").read_text()))

    def workers(self) -> list[int]:
        """The process ids of the model's workers, of the instance that was opened last."""
        with Client(self.url, self._record["management"]) as client:
            return client.worker_pids("quick")

    def worker_processes(self) -> list[psutil.Process]:
        """The workers of all instances."""
        found = []
        for java in self.of("java"):
            with suppress(psutil.Error):
                found += [each for each in java.children() if _WORKER in " ".join(each.cmdline())]
        return found

    @property
    def is_ready(self) -> bool:
        """Whether it says of itself that every model is proven and all workers are there."""
        try:
            return requests.get(f"{self.url}/readyz", timeout=10).status_code == HTTPStatus.OK
        except requests.RequestException:
            return False

    def of(self, name: str) -> list[psutil.Process]:
        """The supervisor's own processes of a name: `java`, `haproxy`."""
        found = []
        for each in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # it ended just now
                if each.name() == name:
                    found.append(each)
        return found

    def all(self) -> list[psutil.Process]:
        """All of its processes."""
        found = psutil.Process(self.process.pid)
        return [found, *found.children(recursive=True)]

    def run(self, *words: str, timeout: float = 300.0) -> subprocess.CompletedProcess[str]:
        """Another command in the same folder."""
        return subprocess.run(
            [*COMMAND, *words],
            cwd=self.root,
            env={**os.environ, "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    def wait_until_whole(self, timeout: float = 300.0) -> None:
        """Wait until it is ready, with all workers."""
        end = time.monotonic() + timeout
        while (said := self.run("ready")).returncode != 0:
            assert time.monotonic() < end, said.stdout + self.said
