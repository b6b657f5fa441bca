"""Known pictures with known answers: a worker proves itself on them before it takes traffic.

The pictures are drawn here, the same on every machine, so an archive carries only the answers. They go the
whole way, from encoded bytes to probabilities, so they also watch over decoding and resizing.
"""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from visionserve.runtime.errors import GoldenError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch

# The largest change of any recorded probability that is still the same answer; the top class must be the same, or
# one recorded within twice that of the best. An engine that normalises otherwise or swaps channels strays further.
#   fp32  another processor's kernels and another Pillow's resampling: both well under 1e-3.
#   bf16  measured on these pictures: 0.044 on a ResNet-50 of random features, 0.054 on such a ResNet-18, 0.012 on
#         VGG-16, with either engine. Rounding the weights alone is most of it, so no engine can do better.
#   int8  is recorded as int8 itself and strays between processors only: 0.0145 on ResNet-50 and 0.014 on VGG-16
#         between those with and without VNNI. How far it is from fp32 is judged when the archive is built.
TOLERANCE: Mapping[str, float] = {"fp32": 2e-3, "bf16": 0.1, "int8": 0.1}

# Classes recorded this close to the best one are right answers too, to a client that does not know the precision.
CLOSE = 0.05

_RECORDED = 5


@dataclass(frozen=True)
class Picture:
    """An encoded picture with a name."""

    name: str
    data: bytes


@dataclass(frozen=True)
class GoldenAnswer:
    """What the reference network said of one picture.

    Attributes:
        picture: The picture's name.
        top: Class index and probability of the most probable classes, most probable first.
    """

    picture: str
    top: tuple[tuple[int, float], ...]

    def best(self, within: float = CLOSE) -> list[int]:
        """The most probable class, then those whose recorded probability is `within` of it."""
        return [index for index, probability in self.top if self.top[0][1] - probability <= within]


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


def record(names: Sequence[str], probabilities: torch.Tensor) -> list[GoldenAnswer]:
    """The answers to carry: the most probable classes of each picture.

    Args:
        names: The pictures' names.
        probabilities: float32 `[len(names), classes]`, of the reference network.
    """
    values, indices = probabilities.topk(min(_RECORDED, probabilities.shape[1]), dim=1)
    return [
        GoldenAnswer(name, tuple((index, round(value, 6)) for index, value in zip(row_i, row_v, strict=True)))
        for name, row_i, row_v in zip(names, indices.tolist(), values.tolist(), strict=True)
    ]


def require_fit(answers: Sequence[GoldenAnswer], pictures: int, classes: int) -> None:
    """Refuse recorded answers that are not one per picture, or name a class that there is not.

    Raises:
        GoldenError: They are or do.
    """
    if len(answers) != pictures or any(
        not answer.top or not all(0 <= index < classes for index, _ in answer.top) for answer in answers
    ):
        raise GoldenError(
            "the archive's golden.json does not fit its pictures and classes; build the archive again"
        )


def verify(
    expected: Sequence[GoldenAnswer], probabilities: torch.Tensor, labels: Sequence[str], tolerance: float
) -> None:
    """Refuse a network that answers differently.

    Every recorded probability must be within `tolerance`, and the top class one of those recorded within twice
    that of the best: no other can overtake it without straying.

    Args:
        expected: The recorded answers.
        probabilities: float32 `[len(expected), classes]`, of the network under test.
        labels: One label per class, for the message.
        tolerance: The largest allowed change of a probability.

    Raises:
        GoldenError: Names the first picture that differs, what was recorded and what came.
    """
    require_fit(expected, *probabilities.shape)
    for answer, row in zip(expected, probabilities, strict=True):
        got, (best, recorded) = int(row.argmax()), answer.top[0]
        if got not in answer.best(2 * tolerance):
            raise GoldenError(
                f"golden picture {answer.picture}: expected '{labels[best]}' with {recorded:.4f}"
                f", got '{labels[got]}' with {float(row[got]):.4f}"
            )
        for index, probability in answer.top:
            if not abs(float(row[index]) - probability) <= tolerance:
                raise GoldenError(
                    f"golden picture {answer.picture}: '{labels[index]}' was {probability:.4f} when built"
                    f" and is {float(row[index]):.4f} here; the limit is a change of {tolerance}"
                )


def to_json(answers: Sequence[GoldenAnswer]) -> list[dict[str, object]]:
    """The answers as a JSON document."""
    return [{"picture": answer.picture, "top": [list(pair) for pair in answer.top]} for answer in answers]


def from_json(document: Sequence[Mapping[str, object]]) -> list[GoldenAnswer]:
    """The answers from the JSON document that `to_json` made.

    Raises:
        GoldenError: The document is not one.
    """
    try:
        return [
            GoldenAnswer(
                str(entry["picture"]),
                tuple((int(index), float(value)) for index, value in entry["top"]),  # type: ignore[attr-defined]
            )
            for entry in document
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise GoldenError(
            "the archive's golden.json is not a list of recorded answers; build the archive again"
        ) from error
