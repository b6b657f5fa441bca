"""Whether an engine, as it runs here, agrees with the golden answers of its archive."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from visionserve.runtime.errors import SpecError, WeightsError, first_line
from visionserve.runtime.pictures import decode
from visionserve.runtime.pictures.fit import stack
from visionserve.runtime.proof import golden

if TYPE_CHECKING:
    from collections.abc import Sequence

    from visionserve.runtime.engines import Engine
    from visionserve.runtime.model import Model, Transform
    from visionserve.runtime.proof.golden import GoldenAnswer

# More than any golden picture has.
_MAX_PIXELS = 1 << 24


def probabilities(engine: Engine, transform: Transform) -> torch.Tensor:
    """An engine's answers to the golden pictures, one at a time: float32 `[pictures, classes]`.

    Decoded exactly whatever the model's `decode` says: what is proven is the engine.
    """
    pixels = [decode.prepare(picture.data, _MAX_PIXELS, transform, exact=True)[0] for picture in golden.pictures()]
    return torch.cat([engine.logits(stack([picture])) for picture in pixels]).softmax(dim=1)


def record(engine: Engine, model: Model) -> list[GoldenAnswer]:
    """An engine's answers to the golden pictures, for an archive to carry.

    Raises:
        SpecError: The network cannot take pictures of the size that the transform makes.
        WeightsError: It answers with NaN.
    """
    try:
        answers = probabilities(engine, model.transform)
    except Exception as error:  # whatever a layer raises that its input does not suit
        cannot = f"{model.architecture} cannot take pictures of {model.transform.crop}x{model.transform.crop}"
        raise SpecError(f"{cannot}: {first_line(error)}; change input.crop") from error
    if not torch.isfinite(answers).all():
        raise WeightsError("the network answers a golden picture with NaN; take an earlier checkpoint")
    return golden.record([picture.name for picture in golden.pictures()], answers)


def check(engine: Engine, transform: Transform, labels: Sequence[str], expected: Sequence[GoldenAnswer]) -> None:
    """Refuse an engine that does not give the recorded answers.

    Args:
        engine: What runs the network.
        transform: How pictures become its input.
        labels: One label per class, for the message.
        expected: The recorded answers, in the order of `golden.pictures()`.

    Raises:
        GoldenError: Names the first picture that it answers differently.
    """
    golden.verify(expected, probabilities(engine, transform), labels, golden.TOLERANCE[engine.precision])
