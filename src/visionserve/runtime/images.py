"""Encoded pictures to RGB pixels at the network's input size.

bytes -> open (format, size limit) -> decode -> orient -> RGB -> resize -> central crop -> uint8 [H, W, 3]
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image, ImageOps
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F  # noqa: N812  torchvision's own documentation calls it F

from visionserve.runtime.errors import ImageTooLarge, InvalidImage

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from visionserve.runtime.spec import InputSpec

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")

# Ours is stricter and is checked before anything is decoded; Pillow's would only warn.
Image.MAX_IMAGE_PIXELS = None


def decode(data: bytes | bytearray | memoryview, max_pixels: int) -> Image.Image:
    """Decode the first frame of a picture to RGB, turned upright as its EXIF orientation says.

    Transparency is dropped, as `Image.convert("RGB")` and hence torchvision's own data loaders do; 16-bit grey
    is scaled to 8 bits; colour profiles are not applied.

    Args:
        data: The encoded picture, in one of `FORMATS`.
        max_pixels: The most pixels it may have, read from its header before any of them is decoded.

    Raises:
        InvalidImage: It is not a picture in one of `FORMATS`, or it is damaged.
        ImageTooLarge: It has more than `max_pixels`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                width, height = image.size
                if width * height > max_pixels:
                    raise ImageTooLarge(
                        f"the image is {width}x{height}, {width * height} pixels; this model takes {max_pixels}"
                    )
                image.load()
                return _to_rgb(ImageOps.exif_transpose(image))
    except ImageTooLarge:
        raise
    except Exception as error:  # Pillow's plugins raise whatever a damaged file makes them stumble over
        raise InvalidImage(
            f"the {len(data)} bytes are not a readable image; send JPEG, PNG, GIF, WebP, BMP or TIFF"
        ) from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":
        wide = np.asarray(image).astype(np.uint32)
        return Image.fromarray((wide.clip(0, 0xFFFF) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def fit(image: Image.Image, spec: InputSpec) -> npt.NDArray[np.uint8]:
    """Resize and crop an RGB picture exactly as torchvision's classification transform does.

    Args:
        image: An RGB picture of any size.
        spec: The transform to follow.

    Returns:
        uint8 `[crop, crop, 3]`; scaling to [0, 1] and normalising are the engine's.
    """
    resized = F.resize(image, [spec.resize], InterpolationMode(spec.interpolation), antialias=spec.antialias)
    return np.asarray(F.center_crop(resized, [spec.crop]))


def stack(images: Sequence[npt.NDArray[np.uint8]]) -> torch.Tensor:
    """Pictures of one size as a batch: uint8 `[N, H, W, 3]`."""
    return torch.from_numpy(np.stack(images))
