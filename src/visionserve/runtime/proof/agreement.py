"""Whether decoding and an engine, as they run here, give what they gave when the archive was built."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from visionserve.runtime.errors import GoldenError, SpecError, WeightsError, first_line
from visionserve.runtime.pictures import decode, jpeg
from visionserve.runtime.pictures.fit import stack
from visionserve.runtime.proof import bounds, deviation, drawing, golden
from visionserve.runtime.wire.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from visionserve.runtime.engines import Engine
    from visionserve.runtime.model import Model, Transform
    from visionserve.runtime.proof.drawing import Picture
    from visionserve.runtime.proof.golden import Answer, Golden

# More than any golden picture has.
MAX_PIXELS = 1 << 24
# Of 255, the mean over a picture's samples. What follows the transform to the bit strays by other Pillow versions'
# rounding alone, and the fast way's filter by 1 in a sample of a thousand.
_FOLLOWED = 0.1
# See `bounds.INT8`.
_OTHER_INSTRUCTIONS = (
    "where nothing was changed, the processor is to blame: int8 answers otherwise where it has other instructions,"
    " so build the archive on one like this"
)
# A JPEG decoded at a half, quarter or eighth of its size; see `jpeg`.
_REDUCED = 3.0


def pixels(transform: Transform) -> list[npt.NDArray[np.uint8]]:
    """What a transform makes of the golden pictures, followed to the bit: uint8 `[crop, crop, 3]` each."""
    return [decode.prepare(picture.data, MAX_PIXELS, transform, exact=True)[0] for picture in drawing.pictures()]


def logits(engine: Engine, pixels: Sequence[npt.NDArray[np.uint8]]) -> torch.Tensor:
    """An engine's logits of pictures, one at a time: float32 `[pictures, classes]`."""
    return torch.cat([engine.logits(stack([picture])).cpu() for picture in pixels])


def record(engine: Engine, model: Model, pixels: Sequence[npt.NDArray[np.uint8]]) -> list[Answer]:
    """An engine's answers to the golden pictures, for an archive to carry.

    Raises:
        SpecError: The network cannot take pictures of the size that the transform makes.
        WeightsError: It answers with NaN.
    """
    try:
        answers = logits(engine, pixels)
    except Exception as error:  # whatever a layer raises that its input does not suit
        of_size = f"pictures of {model.transform.crop}x{model.transform.crop}"
        raise SpecError(
            f"{model.architecture} fails on {of_size}: {first_line(error)}; change input.crop, or the network"
        ) from error
    if not torch.isfinite(answers).all():
        raise WeightsError("the network answers a golden picture with NaN; take an earlier checkpoint")
    return [
        golden.Answer(picture.name, row, _best_behind_fast_decoding(engine, model, picture, exact))
        for picture, exact, row in zip(drawing.pictures(), pixels, answers.numpy(), strict=True)
    ]


def _best_behind_fast_decoding(
    engine: Engine, model: Model, picture: Picture, exact: npt.NDArray[np.uint8]
) -> tuple[int, ...]:
    """The best classes of a picture that decodes otherwise the fast way, where the model allows that."""
    if jpeg.is_exact(model.decoding, model.precision):
        return ()
    fast = decode.prepare(picture.data, MAX_PIXELS, model.transform, exact=False)[0]
    if np.array_equal(fast, exact):
        return ()
    return tuple(golden.Answer(picture.name, logits(engine, [fast]).numpy()[0]).best())


def check(engine: Engine, labels: Sequence[str], expected: Golden) -> None:
    """Refuse an engine that does not give the recorded answers to the recorded pixels.

    Args:
        engine: What runs the network.
        labels: One label per class, for the message.
        expected: What was recorded.

    Raises:
        GoldenError: Names the first picture that it answers differently, or the class that strays most.
    """
    found, allowed = logits(engine, expected.pixels), bounds.of(engine.precision)
    try:
        golden.verify(expected.answers, found, labels, allowed.picture)
        deviation.verify(found.numpy(), np.stack([one.logits for one in expected.answers]), labels, allowed)
    except GoldenError as error:
        if engine.precision != "int8":
            raise
        raise GoldenError(f"{error}; {_OTHER_INSTRUCTIONS}") from None


def check_decoding(
    prepare: Callable[[bytes], npt.NDArray[np.uint8]], transform: Transform, expected: Golden
) -> None:
    """Refuse decoding that does not make the recorded pixels of the archive's pictures.

    Args:
        prepare: What decodes here: encoded bytes to uint8 `[crop, crop, 3]`.
        transform: The transform that it follows.
        expected: What was recorded.

    Raises:
        GoldenError: Names the first picture that comes out differently.
    """
    for picture, right in zip(expected.pictures, expected.pixels, strict=True):
        try:
            got = prepare(picture.data)
        except RequestError as error:
            raise GoldenError(f"golden picture {picture.name} cannot be decoded: {error}") from error
        strays = float(np.abs(got.astype(np.int16) - right).mean()) if got.shape == right.shape else np.inf
        with Image.open(io.BytesIO(picture.data)) as image:
            reduced = image.format == "JPEG" and jpeg.reduction(image, transform) > 1
        allowed = _REDUCED if reduced else _FOLLOWED
        if not strays <= allowed:
            raise GoldenError(
                f"golden picture {picture.name}: its pixels stray by {strays:.2f} of 255 from those it was built"
                f" with, where {allowed} is allowed; it is transformed otherwise"
            )
