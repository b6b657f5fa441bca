"""What a picture's right answer is: plain torchvision, in fp32, with the transform of its own weights entry."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import torch
import torchvision
from PIL import Image

from visionserve.archiver.demo import colours
from visionserve.archiver.models import catalog
from visionserve.archiver.weights import lookup

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from visionserve.archiver.models.spec import ModelSpec

_BATCH = 8


def make_weights(root: Path, model: str) -> None:
    """Train a demo model, if its weights are not there."""
    spec = catalog.read(catalog.find(root, model))
    target = root / lookup.file_name(spec.handler)
    if not target.exists():
        colours.make(spec.handler, target)


class Reference:
    """A demo model as torchvision runs it: nothing of ours has a part in its answers.

    Args:
        root: The project's folder.
        spec: The model.
    """

    def __init__(self, root: Path, spec: ModelSpec) -> None:
        architecture = spec.handler.architecture
        self.labels = (root / str(spec.handler.labels)).read_text(encoding="utf-8").split()
        self.weights = root / str(spec.handler.weights)
        network = torchvision.models.get_model(architecture, weights=None, num_classes=len(self.labels))
        network.load_state_dict(torch.load(self.weights, weights_only=True))
        self._network = network.eval()
        self._transform = torchvision.models.get_model_weights(architecture).DEFAULT.transforms()

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
