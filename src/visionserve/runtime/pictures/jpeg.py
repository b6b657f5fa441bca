"""The fast way from a JPEG to the network's input, for what most pictures are: plain 8-bit photographs.

Two things differ from the exact way in `decode`. torch's resampling does Pillow's arithmetic in another order,
five times as fast: on photograph-like pictures a sample in a thousand differs, by 1 of 255. And a photograph at
least twice `KEPT` times the size it is resized to is decoded at a half, a quarter or an eighth by the decoder's
inverse cosine transform, which is a slightly different low-pass filter: 2.3 of 255 on average at most, where a
decoder left to reduce to the very size strays by 3.8.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

import numpy as np
import PIL
import torch
from torch.nn.functional import interpolate

from visionserve.runtime.pictures.fit import corner, resized

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL import Image

    from visionserve.runtime.model import Decoding, Transform

logger = logging.getLogger(__name__)

# How many times the wanted size a reduced decoding still has, so that most of the reduction is the exact filter's.
KEPT = 1.5

_REDUCTIONS = (8, 4, 2)

_MODES = {"RGB", "L"}
_FILTERS = {"bilinear", "bicubic"}
# The ratio of the sides from which resizing the whole picture would be mostly for what is cropped away.
_ELONGATED = 8
# ITU-T T.81, table B.1: the start of a lossless frame, which the decoder cannot reduce. A pattern is found three
# times as fast as by `in`.
_LOSSLESS = re.compile(rb"\xff\xc3")
# The first Pillow that refuses to reduce a lossless JPEG. Pillow 10.4 to 12.3 write past the end of the picture's
# memory instead.
_SAFE_PILLOW = 13
# EXIF orientations (2.32, tag 274) of pictures stored on their side.
_ON_SIDE = {5, 6, 7, 8}


def unsafe_decoder() -> str | None:
    """Why the fast way must not be taken with this host's decoder, or None where it may.

    `takes` keeps lossless JPEGs from it; a decoder that would corrupt memory if one got there is not used at all.
    """
    if int(PIL.__version__.partition(".")[0]) >= _SAFE_PILLOW:
        return None
    return (
        f"Pillow {PIL.__version__} can corrupt memory when it reduces a JPEG: pip install 'pillow>={_SAFE_PILLOW}'"
    )


def is_exact(decoding: Decoding, precision: str) -> bool:
    """Whether a network of this precision gets its pictures as torchvision makes them, to the bit.

    Args:
        decoding: What its model says of it; `auto` takes the fast way where rounding differs from fp32 anyway.
        precision: The number format it runs in.
    """
    if decoding == "exact" or (decoding == "auto" and precision == "fp32"):
        return True
    unsafe = unsafe_decoder()
    if unsafe is not None:
        logger.warning("JPEGs are decoded the exact way, which is slower: %s", unsafe)
    return unsafe is not None


def takes(data: bytes | bytearray, image: Image.Image, transform: Transform) -> bool:
    """Whether a picture, encoded and opened but not decoded, may go the fast way."""
    return (
        image.format == "JPEG"
        and image.mode in _MODES
        and transform.interpolation in _FILTERS
        and transform.crop <= transform.resize <= min(image.size)
        and max(image.size) <= _ELONGATED * min(image.size)
        # Searched for in the whole file, since a comment may hold the marker of anything. Pixels never do: in
        # coded data 0xFF is followed by 0 or a restart marker (T.81, B.1.1.5).
        and _LOSSLESS.search(data) is None
    )


def reduction(image: Image.Image, transform: Transform) -> int:
    """By how much a picture, opened and not decoded, is reduced while it is decoded: 1, 2, 4 or 8."""
    return next((by for by in _REDUCTIONS if min(image.size) >= by * KEPT * transform.resize), 1)


def fit(image: Image.Image, orientation: int, transform: Transform) -> npt.NDArray[np.uint8]:
    """Decode, resize and crop.

    Args:
        image: The picture, opened and not decoded; `takes` said yes.
        orientation: Its EXIF orientation, 1 to 8; the square that is kept is turned, not the whole picture.
        transform: The transform to follow.

    Returns:
        uint8 `[crop, crop, 3]`.

    Raises:
        OSError: The picture is damaged or cut short.
    """
    stored_height, stored_width = image.height, image.width
    height, width = resized(transform, stored_height, stored_width)
    by = reduction(image, transform)
    image.draft(None, (stored_width // by, stored_height // by))
    decoded = np.array(image if image.mode == "RGB" else image.convert("RGB"))
    # In this order: torch sees by a batch's strides that its channels are last, and is twice as fast then.
    batch = torch.from_numpy(decoded)[None].permute(0, 3, 1, 2)
    # The decoder rounds sizes up, so its last row and column may lie mostly outside the picture: scaled by their
    # sizes the whole picture would shift. A hair more, lest a side be rounded down to one less.
    scale = [by * (1 + 1e-8) * to / of for to, of in ((height, stored_height), (width, stored_width))]
    scaled = interpolate(batch, scale_factor=scale, mode=transform.interpolation, antialias=True)
    top, left = _stored_corner(height, width, transform, orientation)
    kept = scaled[0, :, top : top + transform.crop, left : left + transform.crop].permute(1, 2, 0)
    # Engines want pixels in order; put in order here, on the decoders' threads, it costs nobody a wait.
    return np.ascontiguousarray(_turn(kept.numpy(), orientation))


def _stored_corner(height: int, width: int, transform: Transform, orientation: int) -> tuple[int, int]:
    """Where torchvision's central square of the upright picture begins in the stored one.

    Its corner is rounded, so the square is up to a pixel off the middle, on the other side in a flipped picture.
    """
    on_side = orientation in _ON_SIDE
    upright_height, upright_width = (width, height) if on_side else (height, width)
    top, left = corner(transform, upright_height, upright_width)
    bottom, right = upright_height - transform.crop - top, upright_width - transform.crop - left
    corners = {
        1: (top, left),
        2: (top, right),
        3: (bottom, right),
        4: (bottom, left),
        5: (left, top),
        6: (right, top),
        7: (right, bottom),
        8: (left, bottom),
    }
    return corners[orientation]


def _turn(square: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    if orientation in _ON_SIDE:
        square = square.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        square = square[:, ::-1]
    if orientation in (3, 4, 7, 8):
        square = square[::-1]
    return square
