"""The fast way from a JPEG to the network's input, for what most pictures are: plain 8-bit photographs.

Two things differ from the exact way in `images`. torch's resampling does Pillow's arithmetic in another order,
five times as fast: on photograph-like pictures a sample in a thousand differs, by 1 of 255. And a photograph at
least twice `KEPT` times the size it is resized to is decoded at a half, a quarter or an eighth by the decoder's
inverse cosine transform, which is a slightly different low-pass filter: 2.3 of 255 on average at most, where a
decoder left to reduce to the very size strays by 3.8. In exchange 2000x1500 takes half the time. (torchvision's
own JPEG decoder saved another twentieth, and is deprecated.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate

if TYPE_CHECKING:
    import numpy.typing as npt

    from visionserve.runtime.spec import InputSpec

# How many times the wanted size a reduced decoding still has, so that most of the reduction is the exact filter's.
KEPT = 1.5

_MODES = {"RGB", "L"}
_FILTERS = {"bilinear", "bicubic"}
# The ratio of the sides from which resizing the whole picture would be mostly for what is cropped away.
_ELONGATED = 8
# EXIF orientations (2.32, tag 274) of pictures stored on their side.
_ON_SIDE = {5, 6, 7, 8}


def takes(image: Image.Image, spec: InputSpec) -> bool:
    """Whether a picture, opened and not decoded, may go the fast way."""
    return (
        image.format == "JPEG"
        and image.mode in _MODES
        and spec.interpolation in _FILTERS
        and spec.crop <= spec.resize <= min(image.size)
        and max(image.size) <= _ELONGATED * min(image.size)
    )


def fit(image: Image.Image, orientation: int, spec: InputSpec) -> npt.NDArray[np.uint8]:
    """Decode, resize and crop.

    Args:
        image: The picture, opened and not decoded; `takes` said yes.
        orientation: Its EXIF orientation, 1 to 8; the square that is kept is turned, not the whole picture.
        spec: The transform to follow.

    Returns:
        uint8 `[crop, crop, 3]`.

    Raises:
        OSError: The picture is damaged or cut short.
    """
    height, width = spec.resized(image.height, image.width)
    top, left = _stored_corner(height, width, spec, orientation)
    if min(image.size) >= 2 * KEPT * spec.resize:
        square = _reduced(image, height, width, top, left, spec)
    else:
        pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
        resized = interpolate(pixels[None], (height, width), mode=spec.interpolation, antialias=True)[0]
        kept = resized[:, top : top + spec.crop, left : left + spec.crop].permute(1, 2, 0)
        square = kept.contiguous().numpy()
    # Engines want pixels in order; put in order here, on the decoders' threads, it costs nobody a wait.
    return np.ascontiguousarray(_turn(square, orientation))


def _reduced(
    image: Image.Image, height: int, width: int, top: int, left: int, spec: InputSpec
) -> npt.NDArray[np.uint8]:
    """Decode not much larger than needed, and resize only the square that is kept."""
    drafted = image.draft("RGB", (int(KEPT * width), int(KEPT * height)))
    # The decoder rounds sizes up; the box says where the picture lies in what it makes.
    _, _, right, bottom = drafted[1] if drafted is not None else (0, 0, *image.size)
    across, down = right / width, bottom / height
    box = (left * across, top * down, (left + spec.crop) * across, (top + spec.crop) * down)
    resampling = Image.Resampling[spec.interpolation.upper()]
    return np.asarray(image.convert("RGB").resize((spec.crop, spec.crop), resampling, box=box))


def _stored_corner(height: int, width: int, spec: InputSpec, orientation: int) -> tuple[int, int]:
    """Where torchvision's central square of the upright picture begins in the stored one.

    Its corner is rounded, so the square is up to a pixel off the middle, on the other side in a flipped picture.
    """
    on_side = orientation in _ON_SIDE
    upright_height, upright_width = (width, height) if on_side else (height, width)
    top, left = spec.corner(upright_height, upright_width)
    bottom, right = upright_height - spec.crop - top, upright_width - spec.crop - left
    corner = {
        1: (top, left),
        2: (top, right),
        3: (bottom, right),
        4: (bottom, left),
        5: (left, top),
        6: (right, top),
        7: (right, bottom),
        8: (left, bottom),
    }
    return corner[orientation]


def _turn(square: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    if orientation in _ON_SIDE:
        square = square.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        square = square[:, ::-1]
    if orientation in (3, 4, 7, 8):
        square = square[::-1]
    return square
