"""The program that has one engine to itself: it loads it, says what that took, and runs batches as it is told.

    python -m visionserve.archiver.engines.measuring FOLDER ENGINE PRECISION THREADS

Its first line of output is what loading took, as JSON. Each line of input is then a batch size and seconds; it is
answered by a line with the pictures a second.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import torch

from visionserve.runtime import archive
from visionserve.runtime.engines import Engine, Source, loading
from visionserve.runtime.engines.loading import Way
from visionserve.runtime.model import Model
from visionserve.runtime.proof import agreement, golden

if TYPE_CHECKING:
    from collections.abc import Sequence

_STATUS = Path("/proc/self/status")


def main(folder: Path, way: Way, threads: int, told: TextIO) -> None:
    """Load, and answer lines until there are no more."""

    def say(document: dict[str, Any]) -> None:
        print(json.dumps(document), file=told, flush=True)

    torch.set_num_threads(threads)
    labels = archive.read_labels(folder)
    identity = archive.read_identity(folder)
    model = Model.from_config(archive.read_config(folder), labels, identity.name, identity.version)
    start = time.perf_counter()
    engine = loading.load(Source(folder, model, torch.device("cpu"), threads), way)
    say({"seconds": time.perf_counter() - start, **_distance(engine, folder, labels), "memory": _memory()})
    noise = torch.Generator().manual_seed(0)
    side = model.transform.crop
    warm: set[int] = set()
    for line in sys.stdin:
        size, seconds = int(line.split()[0]), float(line.split()[1])
        pixels = torch.randint(256, (size, side, side, 3), dtype=torch.uint8, generator=noise)
        if size not in warm:
            engine.logits(pixels)
            warm.add(size)
        say({"rate": _rate(engine, pixels, seconds), "memory": _memory()})


def _rate(engine: Engine, pixels: torch.Tensor, seconds: float) -> float:
    start, runs = time.perf_counter(), 0
    while time.perf_counter() - start < seconds or runs == 0:
        engine.logits(pixels)
        runs += 1
    return runs * len(pixels) / (time.perf_counter() - start)


def _distance(engine: Engine, folder: Path, labels: Sequence[str]) -> dict[str, Any]:
    """How far the logits of golden pictures are from the archive's, and how often the class is the same."""
    known = archive.read_golden(folder, labels)
    logits = agreement.logits(engine, known.pixels).numpy()
    pairs = list(zip(logits, known.answers, strict=True))
    same = sum(int(row.argmax()) == answer.best()[0] for row, answer in pairs)
    return {
        "error": max(golden.error(row, answer.logits) for row, answer in pairs),
        "same": same,
        "of": len(pairs),
    }


def _memory() -> int:
    """The memory of this process, in bytes."""
    lines = _STATUS.read_text(encoding="utf-8").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    main(Path(sys.argv[1]), Way(*sys.argv[2:4]), int(sys.argv[4]), answers)
