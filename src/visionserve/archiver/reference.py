"""The network in fp32 by eager PyTorch, whose answers are right by definition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from visionserve.runtime import network
from visionserve.runtime.engines.eager import EagerEngine
from visionserve.runtime.machine import device as devices
from visionserve.runtime.proof import agreement

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch
    from torch import nn

    from visionserve.archiver.networks.architectures import Fitted
    from visionserve.runtime.engines import Engine
    from visionserve.runtime.model import Model, Transform
    from visionserve.runtime.proof.golden import Answer


@dataclass(frozen=True)
class Reference:
    """The network, and what it says of the golden pictures.

    Attributes:
        network: In fp32.
        engine: What runs it, behind the model's transform.
        device: Where it runs.
        pixels: What the transform makes of the golden pictures: uint8 `[crop, crop, 3]` each.
        answers: Its answers to them.
    """

    network: nn.Module
    engine: Engine
    device: torch.device
    pixels: list[npt.NDArray[np.uint8]]
    answers: list[Answer]

    @classmethod
    def of(cls, model: Model, fitted: Fitted) -> Reference:
        """The reference of a model with these weights.

        Raises:
            SpecError: The network cannot take pictures of the size that the transform makes.
            WeightsError: It answers with NaN.
        """
        device = devices.best()
        loaded = network.load(model.architecture, model.options, fitted.state_dict, fitted.classes, device)
        engine = EagerEngine(loaded, model.transform, device)
        pixels = agreement.pixels(model.transform)
        return cls(loaded, engine, device, pixels, agreement.record(engine, model, pixels))

    def behind(self, transform: Transform) -> Engine:
        """The same network behind another transform."""
        return EagerEngine(self.network, transform, self.device)
