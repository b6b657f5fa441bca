"""Pictures drawn by arithmetic, the same on every machine: those an archive is proven on, and others like them."""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Picture:
    """An encoded picture with a name."""

    name: str
    data: bytes


def photograph(seed: int, width: int, height: int) -> Image.Image:
    """A picture with the statistics of a photograph: noise whose amplitude falls as 1/frequency.

    Natural images have about that spectrum (Field 1987, https://doi.org/10.1364/JOSAA.4.002379), so they cost
    a decoder what a photograph costs. Built from octaves of noise of equal strength: in two dimensions that is
    an amplitude of 1/frequency.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    octaves = max(width, height).bit_length() - 1
    total = np.zeros((height, width, 3), np.float64)
    for octave in range(octaves):
        noise = rng.integers(0, 256, (2 << octave, 2 << octave, 3), np.uint8)
        grown = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
        total += np.asarray(grown, np.float64) - 127.5
    return Image.fromarray((127.5 + total / octaves**0.5).clip(0, 255).astype(np.uint8))


def encode(image: Image.Image, image_format: str) -> bytes:
    """The picture as a file of that format; JPEG at quality 90."""
    buffer = io.BytesIO()
    image.save(buffer, image_format, quality=90)
    return buffer.getvalue()


@functools.cache
def pictures() -> tuple[Picture, ...]:
    """The golden pictures: landscape and portrait, larger and smaller than the input, JPEG and PNG."""
    shapes = [
        (500, 375, "JPEG"),
        (375, 500, "JPEG"),
        (224, 224, "PNG"),
        (640, 480, "JPEG"),
        (96, 64, "PNG"),
        (300, 300, "JPEG"),
    ]
    return tuple(
        Picture(
            f"photograph-{seed}-{width}x{height}.{kind.lower()}",
            encode(photograph(seed, width, height), kind),
        )
        for seed, (width, height, kind) in enumerate(shapes)
    )
