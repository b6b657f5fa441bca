"""A server that is a Python program of ours around somebody's library, in a process of its own."""

from __future__ import annotations

import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import process
from benchmarks.errors import NotRun

if TYPE_CHECKING:
    from benchmarks.deployment import Deployment
    from benchmarks.traffic import Form


class Program:
    """One such server; a subclass says which module runs, with which arguments.

    Attributes:
        module: The program.
        library: What it needs installed.
    """

    name: str
    title: str
    what: str
    settings: dict[str, object]
    module: str
    library: str
    target = "/predict"
    form: Form

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def arguments(self, port: int) -> list[str]:
        """The program's arguments.

        Raises:
            NotRun: The model cannot be had.
        """
        raise NotImplementedError

    def greeting(self) -> tuple[bytes, str]:
        """A request that it answers once it is ready, and its content type."""
        raise NotImplementedError

    def prepare(self) -> None:
        """See `Server.prepare`."""
        if find_spec(self.library) is None:
            raise NotRun(f"{self.library} is not installed; pip install --group benchmark")
        self.arguments(0)

    def start(self) -> None:
        """See `Server.start`."""
        self.port = process.free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="program-"))
        self._child = process.Child(
            [sys.executable, "-m", self.module, *self.arguments(self.port)],
            self._folder / "output.log",
            Path(__file__).parents[2],
            {"TMPDIR": str(self._folder)},
        )
        url = f"http://127.0.0.1:{self.port}{self.target}"
        self._child.wait_until(lambda: process.answers(url, *self.greeting()), self.title)

    @property
    def tree(self) -> process.Tree:
        """See `Server.tree`."""
        return self._child.tree

    def stop(self) -> None:
        """See `Server.stop`."""
        if hasattr(self, "_child"):
            self._child.stop()
        if hasattr(self, "_folder"):
            shutil.rmtree(self._folder, ignore_errors=True)
