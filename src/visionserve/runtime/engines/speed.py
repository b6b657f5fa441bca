"""How many pictures a second engines answer here, measured briefly."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from visionserve.runtime.engines import Engine
    from visionserve.runtime.model import Model

_SECONDS = 0.3  # for all engines together at one batch size, if the fewest runs take less
_MOST = 20  # runs of an engine at one batch size
_FEWEST_ALONE, _FEWEST_BATCHES = 3, 2
_WHOLE = 100  # pictures/s from which no decimals are shown
# Two measurements of one engine on a quiet machine differ by less.
_MARGIN = 1.05


@dataclass(frozen=True)
class Speed:
    """Pictures a second.

    Attributes:
        alone: One picture at a time.
        batch: In batches of the model's batch size.
    """

    alone: float
    batch: float

    def __str__(self) -> str:
        rates = (self.alone, self.batch)
        return " and ".join(f"{rate:.0f}" if rate >= _WHOLE else f"{rate:.3g}" for rate in rates)

    def beats(self, other: Speed) -> bool:
        """Whether it is faster by more than measurements differ, whether pictures come alone or in batches."""
        return self.alone > _MARGIN * other.alone and self.batch > _MARGIN * other.batch


def compare(engines: Sequence[Engine], model: Model) -> list[Speed]:
    """The speed of each engine; they take turns, so that whatever else the machine does slows all alike.

    Args:
        engines: Engines that were warmed up.
        model: What they run, and its batch size.
    """
    side = model.transform.crop
    alone = _rates(engines, 1, side, _FEWEST_ALONE)
    together = [engine for engine in engines if not engine.one_by_one and model.batch_size > 1]
    batches = iter(_rates(together, model.batch_size, side, _FEWEST_BATCHES))
    return [
        Speed(rate, next(batches) if engine in together else rate)
        for engine, rate in zip(engines, alone, strict=True)
    ]


def _rates(engines: Sequence[Engine], size: int, side: int, fewest: int) -> list[float]:
    noise = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (size, side, side, 3), dtype=torch.uint8, generator=noise)
    taken: list[list[float]] = [[] for _ in engines]
    start = time.perf_counter()
    for run in range(_MOST):
        if run >= fewest and time.perf_counter() - start > _SECONDS:
            break
        for engine, seconds in zip(engines, taken, strict=True):
            begun = time.perf_counter()
            engine.logits(pixels)
            seconds.append(time.perf_counter() - begun)
    return [size / statistics.median(seconds) for seconds in taken]
