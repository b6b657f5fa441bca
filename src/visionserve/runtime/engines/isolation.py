"""Pictures through an engine so that one which makes it fail fails alone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import torch

from visionserve.runtime.machine import device
from visionserve.runtime.pictures.fit import stack
from visionserve.runtime.wire.errors import ModelFailure, OutOfMemory

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from visionserve.runtime.engines import Engine

logger = logging.getLogger(__name__)

# One picture's logits, float32 `[classes]`, or why it has none.
Result = torch.Tensor | ModelFailure | OutOfMemory


def run(engine: Engine, pixels: Sequence[npt.NDArray[np.uint8]], largest: int, on: torch.device) -> list[Result]:
    """Each picture's logits, float32 `[classes]`, or why it has none.

    A batch that fails is run again picture by picture, once. When the device has no memory for a batch, it gets
    half of it, down to single pictures; when it has none for one, that picture and the rest are given up.

    Args:
        engine: What runs the network.
        pixels: uint8 `[H, W, 3]` each.
        largest: The most pictures to run together.
        on: The engine's device; this process ends if it dies.
    """
    results: list[Result] = []
    size = largest
    while len(results) < len(pixels) and size > 0:
        batch = pixels[len(results) : len(results) + size]
        try:
            results += _finite(engine.logits(stack(batch)))
        except Exception as error:
            if device.is_out_of_memory(error):
                logger.warning("no memory on %s for %d pictures together", on, len(batch))
                size = len(batch) // 2
            else:
                logger.exception("a batch of %d failed; its pictures are run one by one", len(batch))
                device.end_process_if_dead(on)
                results += [_alone(engine, picture, on) for picture in batch]
        if size < largest and on.type == "cuda":
            torch.cuda.empty_cache()
    return results + [OutOfMemory("the device has no memory left; try again later")] * (len(pixels) - len(results))


def _alone(engine: Engine, picture: npt.NDArray[np.uint8], on: torch.device) -> Result:
    try:
        return _finite(engine.logits(stack([picture])))[0]
    except Exception as error:
        if device.is_out_of_memory(error):
            return OutOfMemory("the device has no memory left; try again later")
        logger.exception("a picture failed by itself")
        device.end_process_if_dead(on)
        return ModelFailure("the network failed on this image; the server's log says why")


def _finite(logits: torch.Tensor) -> list[Result]:
    return [
        row if torch.isfinite(row).all() else ModelFailure("the network answered with NaN or infinity")
        for row in logits
    ]
