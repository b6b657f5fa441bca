"""The limit: our engine in a process of its own, with nobody to serve.

The process waits for one JSON question a line on standard input and answers each with one JSON line:

    {"ask": "choice"}                                      which engine runs, and why that one
    {"ask": "rate", "batch": 8, "seconds": 3}              pictures a second through the engine, and nothing else
    {"ask": "path", "seconds": 3, "pictures": [...]}       ms from a picture's bytes to its answer, one at a time
    {"ask": "labels", "pictures": [...]}                   the label on top for each picture
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import process
from benchmarks.errors import NotRun
from visionserve.runtime.pictures.fit import stack
from visionserve.runtime.wire.request import Request
from visionserve.runtime.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.deployment import Deployment

_BATCH = 8


class EngineAlone:
    """One variant's engine.

    Args:
        deployment: The model.
        variant: One of `deployment.VARIANTS`.
    """

    def __init__(self, deployment: Deployment, variant: str) -> None:
        self._deployment = deployment
        self._variant = variant
        self.name = f"engine-{variant}"
        self.title = f"our engine alone, {variant}"
        self.what = "visionserve.runtime's engine in process: no server, no decoding, pixels already in memory"
        self.settings: dict[str, object] = deployment.handler_settings(variant)

    def prepare(self) -> None:
        """Build the archive.

        Raises:
            NotRun: It cannot be built.
        """
        self._deployment.unpacked(self._variant)

    def start(self) -> None:
        """Load the model.

        Raises:
            NotRun: It cannot be built or loaded.
        """
        unpacked = self._deployment.unpacked(self._variant)
        self._folder = Path(tempfile.mkdtemp(prefix="engine-"))
        self._log = (self._folder / "output.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.contenders.engine_alone", str(unpacked)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            start_new_session=True,
        )
        self.settings["chosen"] = self._ask({"ask": "choice"})

    @property
    def tree(self) -> process.Tree:
        """Its process."""
        return process.Tree(self._process.pid)

    def rate(self, batch: int, seconds: float) -> float:
        """Pictures a second through the engine in batches of one size."""
        return float(self._ask({"ask": "rate", "batch": batch, "seconds": seconds}))

    def path(self, pictures: Sequence[str], seconds: float) -> float:
        """The median milliseconds of decoding, resizing and answering one picture by itself."""
        return float(self._ask({"ask": "path", "pictures": list(pictures), "seconds": seconds}))

    def labels(self, pictures: Sequence[str]) -> list[str]:
        """The label on top for each picture, answered eight at a time."""
        return [str(label) for label in self._ask({"ask": "labels", "pictures": list(pictures)})]

    def stop(self) -> None:
        """End it."""
        if hasattr(self, "_process"):
            with suppress(BrokenPipeError):
                self._process.communicate(timeout=15)
            self._log.close()
        if hasattr(self, "_folder"):
            shutil.rmtree(self._folder, ignore_errors=True)

    def _ask(self, question: dict[str, Any]) -> Any:
        if self._process.stdin is None or self._process.stdout is None:
            raise NotRun(f"{self.name} has no pipes")
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            printed = (self._folder / "output.log").read_text(encoding="utf-8", errors="replace").splitlines()
            raise NotRun(f"the engine ended: {' | '.join(printed[-1:])}")
        return json.loads(line)


def _rate(worker: Worker, batch: int, seconds: float) -> float:
    side = worker.model.transform.crop
    pixels = stack([np.full((side, side, 3), index, np.uint8) for index in range(batch)])
    start, answered = time.perf_counter(), 0
    while (spent := time.perf_counter() - start) < seconds:
        worker.engine.logits(pixels)
        answered += batch
    return answered / spent


def _path(worker: Worker, pictures: Sequence[bytes], seconds: float) -> float:
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or not times:
        start = time.perf_counter()
        worker.answer([Request({"body": pictures[len(times) % len(pictures)]})])
        times.append(1000 * (time.perf_counter() - start))
    return float(np.median(times))


def _labels(worker: Worker, pictures: Sequence[bytes]) -> list[str]:
    found: list[str] = []
    for start in range(0, len(pictures), _BATCH):
        responses = worker.answer([Request({"body": data}) for data in pictures[start : start + _BATCH]])
        found += [next(iter(json.loads(response.body))) for response in responses]
    return found


def main() -> None:
    """Answer questions about the archive named on the command line until standard input ends."""
    worker = Worker.open(Path(sys.argv[1]))
    for line in sys.stdin:
        question = json.loads(line)
        pictures = [Path(path).read_bytes() for path in question.get("pictures", [])]
        answer: object
        if question["ask"] == "choice":
            answer = f"{worker.engine.name} {worker.engine.precision}: {worker.why}"
        elif question["ask"] == "rate":
            answer = _rate(worker, question["batch"], question["seconds"])
        elif question["ask"] == "path":
            answer = _path(worker, pictures, question["seconds"])
        else:
            answer = _labels(worker, pictures)
        print(json.dumps(answer), flush=True)  # noqa: T201  the protocol


if __name__ == "__main__":
    main()
