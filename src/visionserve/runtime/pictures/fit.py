"""RGB pictures of any size to the network's input size, as torchvision's classification transform does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from visionserve.runtime.model import Transform

# Sides' ratio from which only the middle of a picture is resized, and the ratio that is left.
_ELONGATED = 100
_KEPT = 10


def resized(transform: Transform, height: int, width: int) -> tuple[int, int]:
    """Height and width after resizing: the shorter side becomes `resize`, the other is rounded down."""
    if width <= height:
        return int(transform.resize * height / width), transform.resize
    return transform.resize, int(transform.resize * width / height)


def corner(transform: Transform, height: int, width: int) -> tuple[int, int]:
    """Top and left of the central square of a resized picture; negative where the picture is the smaller."""
    return _margin(transform.crop, height), _margin(transform.crop, width)


def _margin(crop: int, side: int) -> int:
    return round((side - crop) / 2.0) if side >= crop else -((crop - side) // 2)


def fit(image: Image.Image, transform: Transform) -> npt.NDArray[np.uint8]:
    """Resize and crop an RGB picture exactly as torchvision's classification transform does.

    With Pillow alone, as torchvision does it: importing torchvision would add two seconds to a worker's start.

    Args:
        image: An RGB picture of any size.
        transform: The transform to follow.

    Returns:
        uint8 `[crop, crop, 3]`; scaling to [0, 1] and normalising are the engine's.
    """
    shaped = _without_far_ends(image)
    height, width = resized(transform, shaped.height, shaped.width)
    scaled = shaped.resize((width, height), Image.Resampling[transform.interpolation.upper()])
    top, left = corner(transform, height, width)
    return np.asarray(scaled.crop((left, top, left + transform.crop, top + transform.crop)))


def _without_far_ends(image: Image.Image) -> Image.Image:
    """The picture, or the middle of one so elongated that enlarging its short side would fill the memory.

    A picture of 50,000,000 x 1 resized to 232 on its short side would be 8 TB, all of it cropped away again but
    a square in the middle. The middle that is kept is wide enough that nothing of that square changes but the
    rounding of its position.
    """
    short, long = sorted(image.size)
    if long <= _ELONGATED * short:
        return image
    left, top = ((side - _KEPT * short) // 2 if side == long else 0 for side in image.size)
    return image.crop((left, top, image.width - left, image.height - top))


def stack(images: Sequence[npt.NDArray[np.uint8]]) -> torch.Tensor:
    """Pictures of one size as a batch: uint8 `[N, H, W, 3]`."""
    return torch.from_numpy(np.stack(images))
