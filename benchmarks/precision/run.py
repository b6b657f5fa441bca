"""One network's measurement: its archives built, its pictures decoded both ways, every engine asked."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.errors import NotRun
from benchmarks.precision import proof
from benchmarks.precision.figures import Figures, compare
from benchmarks.precision.variants import ENGINES, Archives
from visionserve import progress
from visionserve.runtime.pictures import decode
from visionserve.runtime.pictures.fit import stack

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from benchmarks.precision.proof import Proof
    from benchmarks.precision.subjects import Subject
    from visionserve.runtime.engines import Engine
    from visionserve.runtime.model import Transform


_DECODINGS = ("exact", "fast")  # what is right comes first
_MAX_PIXELS = 1 << 26


@dataclass
class Measured:
    """What came of one network.

    Attributes:
        subject: Its name.
        kind: What its pictures are.
        figures: One for each engine and decoding.
        proofs: What the proof sees of each engine.
        not_run: Why there are none of an engine, by its name and precision, or of all of them, by an empty name.
        calibrated: How int8 agrees with fp32 on the pictures that its calibration held out.
        commit: What it was measured with.
        minutes: How long it took.
    """

    subject: str
    kind: str = ""
    figures: list[Figures] = field(default_factory=list)
    proofs: list[Proof] = field(default_factory=list)
    not_run: dict[str, str] = field(default_factory=dict)
    calibrated: str = ""
    commit: str = ""
    minutes: float = 0.0


@dataclass(frozen=True)
class _Decoded:
    """Pictures at the network's input size, and the milliseconds that each took on average."""

    decoding: str
    pixels: list[npt.NDArray[np.uint8]]
    ms: float


def measure(subject: Subject, work: Path) -> Measured:
    """Measure a network, with progress bars on a terminal.

    Args:
        subject: The network and its pictures.
        work: A folder for its archives.

    Raises:
        NotRun: Its archives cannot be built.
    """
    archives = Archives.build(subject, work)
    measured = Measured(subject.name, subject.kind, calibrated=archives.calibrated)
    decoded = [_decode(subject.pictures, archives.transform, decoding) for decoding in _DECODINGS]
    right = None
    for name, precision in ENGINES:
        try:
            engine = archives.engine(name, precision)
        except NotRun as error:
            measured.not_run[f"{name} {precision}"] = str(error)
            continue
        for one in decoded:
            logits, ms = _answer(engine, one)
            # The first is eager fp32 behind exact decoding: what is right by definition.
            right = logits if right is None else right
            distance = compare(logits, right)
            measured.figures.append(
                Figures(name, precision, one.decoding, len(logits), distance, decoding_ms=one.ms, network_ms=ms)
            )
    measured.proofs = proof.prove(archives)
    return measured


def _decode(pictures: Sequence[bytes], transform: Transform, decoding: str) -> _Decoded:
    start = time.perf_counter()
    pixels = [
        decode.prepare(data, _MAX_PIXELS, transform, exact=decoding == "exact")[0]
        for data in progress.bar(pictures, f"decoded {decoding}")
    ]
    return _Decoded(decoding, pixels, 1e3 * (time.perf_counter() - start) / len(pixels))


def _answer(engine: Engine, decoded: _Decoded) -> tuple[npt.NDArray[np.float32], float]:
    """Logits of pictures asked one at a time, and the milliseconds that each took on average."""
    engine.logits(stack(decoded.pixels[:1]))
    what = f"decoded {decoded.decoding}, {engine.name} {engine.precision}"
    start = time.perf_counter()
    rows = [engine.logits(stack([picture])).numpy() for picture in progress.bar(decoded.pixels, what)]
    return np.concatenate(rows), 1e3 * (time.perf_counter() - start) / len(rows)
