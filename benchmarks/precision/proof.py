"""What the proof sees of right engines, here and as on processors with fewer instructions.

oneDNN, which OpenVINO and torch compute with, takes its limit from the environment as it loads. So each is a
process of its own, which reads the folders of a network's archives and prints what it found, both as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.errors import NotRun
from benchmarks.precision.figures import compare
from benchmarks.precision.variants import ENGINES, Archives
from visionserve.runtime import archive
from visionserve.runtime.engines import openvino
from visionserve.runtime.proof import agreement

if TYPE_CHECKING:
    from collections.abc import Mapping

_LIMIT = "ONEDNN_MAX_CPU_ISA"
# All of the processor; VNNI and bf16 without tiles; VNNI without bf16; neither.
LIMITS = ("", "AVX512_CORE_BF16", "AVX512_CORE_VNNI", "AVX2")


@dataclass(frozen=True)
class Proof:
    """One engine's answers to the golden pictures beside those that its archive records.

    Attributes:
        engine: Its name.
        precision: What it computes in.
        limit: oneDNN's limit, or nothing.
        error: The largest error of a picture's logits.
        deviation: The largest deviation of a class's logits.
        deviation_p50: The median of them.
    """

    engine: str
    precision: str
    limit: str
    error: float
    deviation: float
    deviation_p50: float


def prove(archives: Archives) -> list[Proof]:
    """Every engine's proof under every limit; those that cannot run are left out."""
    found = []
    for limit in LIMITS:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.precision.proof"],
            cwd=Path(__file__).parents[2],
            env={**os.environ, **({_LIMIT: limit} if limit else {})},
            input=json.dumps({precision: str(folder) for precision, folder in archives.folders.items()}),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        found += [Proof(**one) for one in json.loads(done.stdout)]
    return found


def _prove_here(folders: Mapping[str, Path]) -> list[Proof]:
    archives = Archives(folders)
    limit = os.environ.get(_LIMIT, "")
    found = []
    for name, precision in ENGINES:
        if limit and name != openvino.NAME:
            continue
        try:
            engine = archives.engine(name, precision)
        except NotRun:
            continue
        folder = folders[precision]
        known = archive.read_golden(folder, archive.read_labels(folder))
        logits = agreement.logits(engine, known.pixels).numpy()
        distance = compare(logits, np.stack([answer.logits for answer in known.answers]))
        found.append(Proof(name, precision, limit, distance.error, distance.deviation, distance.deviation_p50))
    return found


def main() -> None:
    """Prove the archives that standard input names."""
    found = _prove_here({key: Path(folder) for key, folder in json.load(sys.stdin).items()})
    print(json.dumps([asdict(one) for one in found]))  # noqa: T201  the protocol


if __name__ == "__main__":
    main()
