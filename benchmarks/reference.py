"""What a picture's right answer is: the network in PyTorch, in fp32, behind torchvision's own transform."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms._presets import ImageClassification

from visionserve.build import checkpoints, package, weights
from visionserve.runtime import network

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from visionserve.runtime.spec import ModelSpec

_BATCH = 8


class Reference:
    """A model as torchvision runs it: no engine, decoder or resizer of ours has a part in its answers.

    Args:
        root: The project's folder.
        spec: The model.
    """

    def __init__(self, root: Path, spec: ModelSpec) -> None:
        found = weights.find(root, spec.name, spec.handler)
        transform = weights.transform(spec.handler)
        self.labels = package.class_labels(root, spec.handler, found)
        self.weights = found.path
        self._network = network.load(
            spec.handler.architecture, checkpoints.read(found.path), len(self.labels), torch.device("cpu")
        )
        self._transform = ImageClassification(
            crop_size=transform.crop,
            resize_size=transform.resize,
            mean=transform.mean,
            std=transform.std,
            interpolation=InterpolationMode(transform.interpolation),
            antialias=transform.antialias,
        )

    @torch.inference_mode()
    def probabilities(self, pictures: Sequence[bytes]) -> torch.Tensor:
        """The answers to encoded pictures: float32 `[pictures, classes]`."""
        answers = []
        for start in range(0, len(pictures), _BATCH):
            batch = [self._transform(_open(data)) for data in pictures[start : start + _BATCH]]
            answers.append(self._network(torch.stack(batch)).softmax(dim=1))
        return torch.cat(answers)


def _open(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")
