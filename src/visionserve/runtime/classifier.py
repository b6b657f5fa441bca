"""One model, loaded from an unpacked archive, warmed up and proven."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from visionserve.runtime import archive, cores, engines, golden, images, network, payload, predictions
from visionserve.runtime.errors import SpecError
from visionserve.runtime.predictions import Answered
from visionserve.runtime.spec import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class Prepared:
    """One request, ready for the engine.

    Attributes:
        pixels: uint8 `[H, W, 3]` each, at the network's input size.
        listed: Whether the client expects a list of answers.
    """

    pixels: list[npt.NDArray[np.uint8]]
    listed: bool


class Classifier:
    """Requests to answers, in three steps that the server may interleave as it likes."""

    def __init__(self, spec: ModelSpec, labels: Sequence[str], net: torch.nn.Module, device: torch.device):
        if spec.handler.input is None:
            raise SpecError(f"model {spec.name}: handler.input is missing; build the archive again")
        transform = spec.handler.input.complete()
        self.device = device
        self.labels = tuple(labels)
        self._spec = spec
        self._input = transform
        self._engine = engines.make(spec.handler, net, self._input, device)

    @classmethod
    def open(cls, folder: Path, name: str, config: Mapping[str, Any], device: torch.device) -> Classifier:
        """Load the model of an unpacked archive, run every batch size once and check the golden answers.

        Args:
            folder: The unpacked archive.
            name: The model's name.
            config: The archive's `model-config.yaml`, parsed.
            device: Where to run.

        Raises:
            SpecError: The configuration is not one of ours, or names no weights.
            WeightsError: The weights are damaged or not this network's.
            GoldenError: The network answers differently from when it was built.
        """
        spec = ModelSpec.from_mapping(name, config, "model-config.yaml")
        if spec.handler.weights is None:
            raise SpecError(f"model {name}: handler.weights is missing; build the archive again")
        torch.set_num_threads(cores.threads(spec.min_workers))
        labels = archive.read_labels(folder)
        state_dict = network.read_weights(folder / spec.handler.weights)
        net = network.load(spec.handler, state_dict, len(labels), device)
        classifier = cls(spec, labels, net, device)
        classifier.warm_up()
        classifier.prove(archive.read_golden(folder))
        return classifier

    def prepare(self, fields: Mapping[str, Any]) -> Prepared:
        """Decode one request's pictures to the network's input size.

        Raises:
            RequestError: The request is none of the forms we take, or a picture of it cannot be decoded.
        """
        request = payload.parse(fields)
        return Prepared([self.pixels(picture) for picture in request.pictures], request.listed)

    def pixels(self, data: bytes | bytearray) -> npt.NDArray[np.uint8]:
        """One encoded picture as uint8 `[H, W, 3]` at the network's input size.

        Raises:
            RequestError: It cannot be decoded.
        """
        return images.fit(images.decode(data, self._spec.handler.max_pixels), self._input)

    def logits(self, pixels: Sequence[npt.NDArray[np.uint8]]) -> torch.Tensor:
        """Run the network on any number of pictures, in batches no larger than the model's batch size.

        Returns:
            float32 `[N, classes]` on the CPU.
        """
        size = self._spec.batch_size
        batches = [images.stack(pixels[start : start + size]) for start in range(0, len(pixels), size)]
        return torch.cat([self._engine.logits(batch) for batch in batches])

    def answer(self, requests: Sequence[Prepared]) -> list[Answered]:
        """Answer several requests together.

        Raises:
            ModelFailure: The network answered one of them with NaN or infinity.
        """
        pixels = [picture for request in requests for picture in request.pixels]
        if not pixels:
            return []
        answers = iter(predictions.classify(self.logits(pixels), self.labels, self._spec.handler.top_k))
        return [Answered([next(answers) for _ in request.pixels], request.listed) for request in requests]

    def answer_one(self, request: Prepared) -> Answered:
        """Answer one request by itself.

        Raises:
            ModelFailure: The network answered with NaN or infinity.
        """
        return self.answer([request])[0]

    def golden_probabilities(self) -> torch.Tensor:
        """This network's answers to the golden pictures: float32 `[pictures, classes]`."""
        return self.logits([self.pixels(picture.data) for picture in golden.pictures()]).softmax(dim=1)

    def warm_up(self) -> None:
        """Run every batch size once, so that no request pays for a first call."""
        blank = torch.zeros(self._spec.batch_size, self._input.crop, self._input.crop, 3, dtype=torch.uint8)
        for size in range(1, self._spec.batch_size + 1):
            self._engine.logits(blank[:size])

    def prove(self, expected: Sequence[golden.GoldenAnswer]) -> None:
        """Check this network against recorded golden answers.

        Raises:
            GoldenError: It answers differently.
        """
        tolerance = golden.TOLERANCE[self._spec.handler.precision]
        golden.verify(expected, self.golden_probabilities(), self.labels, tolerance)
