"""The pictures that are sent: photograph-like JPEGs of three sizes, in tints that the demo models tell apart."""

from __future__ import annotations

import colorsys
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from visionserve.archiver.demo.colours import HUES
from visionserve.runtime.proof import drawing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.reference import Reference

# So strong a tint that the demo networks have no doubt: an answer that is off is a fault, not a near tie.
_SATURATION = 0.95
_CHROMA = 0.7  # the share of the photograph's own colour that is kept
_FLOOR = 0.4  # the darkest a pixel gets
_QUALITIES = range(86, 100)


@dataclass(frozen=True)
class Kind:
    """Pictures of one size.

    Attributes:
        width: In pixels.
        height: In pixels.
        size: The bytes that a photograph of that size has; each picture's JPEG quality is chosen to come close.
        count: How many different ones are sent in turn.
    """

    width: int
    height: int
    size: int
    count: int

    @property
    def name(self) -> str:
        """Width and height, as in `500x375`."""
        return f"{self.width}x{self.height}"


# ImageNet's validation photographs are 500x375 and 110 KB on average; the large ones are as dense as a phone's.
KINDS = {
    kind.name: kind
    for kind in (
        Kind(224, 224, 28_000, 14),
        Kind(500, 375, 110_000, 14),
        Kind(2000, 1500, 1_100_000, 7),
    )
}


def draw(kind: Kind, seed: int) -> bytes:
    """One picture as a JPEG file: a golden photograph of that size and seed, tinted in one of the demo's hues."""
    hue = list(HUES.values())[seed % len(HUES)]
    tint = np.array(colorsys.hsv_to_rgb(hue / 360, _SATURATION, 1.0))
    pixels = np.asarray(drawing.photograph(seed, kind.width, kind.height), np.float64)
    grey = pixels.mean(axis=2, keepdims=True)
    bright = 255 * _FLOOR + (1 - _FLOOR) * (grey + _CHROMA * (pixels - grey))
    image = Image.fromarray((bright * tint).clip(0, 255).astype(np.uint8))
    return min((_jpeg(image, quality) for quality in _QUALITIES), key=lambda data: abs(len(data) - kind.size))


def write(kind: Kind, folder: Path) -> list[Path]:
    """Draw a kind's pictures into a folder; those that are already there are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{kind.name}-{seed}.jpg" for seed in range(kind.count)]
    for seed, path in enumerate(paths):
        if not path.exists():
            part = path.with_suffix(".part")
            part.write_bytes(draw(kind, seed))
            part.replace(path)
    return paths


class Pictures:
    """What is sent to a model: files by kind, each with its right answer.

    Args:
        reference: Says what is right.
        folder: Where the files go.
        kinds: Names of `KINDS`.
    """

    def __init__(self, reference: Reference, folder: Path, kinds: Sequence[str]) -> None:
        self.labels = reference.labels
        self.files: dict[str, list[str]] = {}
        self.answers: dict[str, list[str]] = {}
        for kind in kinds:
            paths = write(KINDS[kind], folder)
            best = reference.probabilities([path.read_bytes() for path in paths]).argmax(dim=1)
            self.files[kind] = [str(path) for path in paths]
            self.answers[kind] = [reference.labels[int(index)] for index in best]


def _jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
