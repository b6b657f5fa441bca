"""An engine in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from visionserve.runtime.errors import EngineError

if TYPE_CHECKING:
    from visionserve.archiver.engines.variants import Variant


class EngineProcess:
    """Runs `measuring`; a context manager that ends it.

    Args:
        variant: The engine, and the archive with what it needs.
        threads: How many threads it is to use.

    Attributes:
        way: The engine.
        loaded: What it said when it was loaded.
    """

    def __init__(self, variant: Variant, threads: int) -> None:
        self.way = variant.way
        self.loaded: dict[str, Any] = {}
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed with the process
        words = [str(variant.folder), *variant.way, str(threads)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "visionserve.archiver.engines.measuring", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )

    def __enter__(self) -> EngineProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._said.close()

    def wait(self) -> None:
        """Wait until it is loaded.

        Raises:
            EngineError: It ended; the message is the last line it said.
        """
        self.loaded = self._answer()

    def run(self, batch: int, seconds: float) -> dict[str, Any]:
        """Run batches for so long: `rate` in pictures a second, `memory` in bytes.

        Raises:
            EngineError: It ended; the message is the last line it said.
        """
        with suppress(BrokenPipeError):
            print(batch, seconds, file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if line:
            return dict(json.loads(line))
        code = self._process.wait()
        self._said.seek(0)
        said = [line for line in self._said.read().splitlines() if line.strip()]
        raise EngineError(said[-1].strip() if said and code > 0 else f"its process ended with code {code}")
