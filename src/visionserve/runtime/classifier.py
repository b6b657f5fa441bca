"""One model, loaded from an unpacked archive, warmed up and proven; then requests to answers.

request -> payload -> images -> engine -> predictions
"""

from __future__ import annotations

import logging
import platform
import time
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

import PIL
import torch

import visionserve
from visionserve.runtime import archive, predictions
from visionserve.runtime.engines import Source, isolation, selection
from visionserve.runtime.errors import DeadlineExceeded, ExplanationUnsupported, RequestError, SpecError
from visionserve.runtime.machine import cores
from visionserve.runtime.pictures import decode, jpeg
from visionserve.runtime.proof import golden
from visionserve.runtime.spec import ModelSpec
from visionserve.runtime.wire import payload
from visionserve.runtime.wire.options import Options
from visionserve.runtime.wire.responses import Answered, Described

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from visionserve.runtime.engines import Engine
    from visionserve.runtime.wire.request import Request


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """One request, ready for the engine.

    Attributes:
        pixels: uint8 `[H, W, 3]` each, at the network's input size.
        reply: How the answers go back.
        options: What else the client asked for.
        decode_ms: What its pictures took to decode, in milliseconds.
    """

    pixels: list[npt.NDArray[np.uint8]]
    reply: payload.Reply
    options: Options
    decode_ms: float


Outcome = Answered | Described | RequestError


class Classifier:
    """Requests to answers, in steps that the server may interleave as it likes."""

    def __init__(
        self,
        spec: ModelSpec,
        labels: Sequence[str],
        engine: Engine,
        device: torch.device,
        version: str = "1.0",
        why: str = "",
    ) -> None:
        if spec.handler.input is None:
            raise SpecError(f"model {spec.name}: handler.input is missing; build the archive again")
        transform = spec.handler.input.complete()
        self.device = device
        self.labels = tuple(labels)
        self._spec = spec
        self._version = version
        self._input = transform
        exact = {"exact": True, "fast": False, "auto": engine.precision == "fp32"}[spec.handler.decode]
        unsafe = None if exact else jpeg.unsafe_decoder()
        if unsafe is not None:
            logger.warning("JPEGs are decoded the exact way, which is slower: %s", unsafe)
        self._exact = exact or unsafe is not None
        self._options = Options(top_k=spec.handler.top_k, response=spec.handler.response)
        self.engine = engine
        self.why = why

    @classmethod
    def open(
        cls, folder: Path, name: str, version: str, config: Mapping[str, Any], device: torch.device
    ) -> Classifier:
        """Load the model of an unpacked archive into the fastest engine that gives its golden answers.

        Args:
            folder: The unpacked archive.
            name: The model's name.
            version: The archive's version of it.
            config: The archive's `model-config.yaml`, parsed.
            device: Where to run.

        Raises:
            SpecError: The configuration is not one of ours, or names no weights.
            EngineError: There is no engine here that the configuration allows.
            GoldenError: The network answers differently from when it was built.
        """
        spec = ModelSpec.from_mapping(name, config, "model-config.yaml")
        labels = archive.read_labels(folder)
        answers = archive.read_golden(folder)
        threads = cores.threads(spec.min_workers)
        torch.set_num_threads(threads)

        def prove(engine: Engine) -> None:
            candidate = cls(spec, labels, engine, device)
            candidate.warm_up()
            candidate.prove(answers)

        source = Source(folder, spec.handler, len(labels), device, threads)
        choice = selection.choose(source, prove)
        return cls(spec, labels, choice.engine, device, version, choice.why)

    def prepare(self, request: Request) -> Prepared | Described:
        """Decode one request's pictures to the network's input size.

        Raises:
            RequestError: The request is none of the forms we take, asks for what we do not do, is late, or a
                picture of it cannot be decoded.
        """
        if request.asks_description:
            return Described(self.description())
        start = time.perf_counter()
        if request.asks_explanation:
            raise ExplanationUnsupported("this model gives predictions, no explanations of them")
        options = Options.read(request.sent, self._options)
        options.require_time()
        limits = self._spec.handler
        parsed = payload.parse(request, limits.max_images, limits.max_pixels)
        pixels = list(self._decoded(parsed, options))
        return Prepared(pixels, parsed.reply, options, 1e3 * (time.perf_counter() - start))

    def _decoded(self, parsed: payload.Payload, options: Options) -> Iterator[npt.NDArray[np.uint8]]:
        left = self._spec.handler.max_pixels
        for picture in parsed.pictures:
            options.require_time()
            pixels, size = decode.prepare(picture, left, self._input, exact=self._exact)
            left -= size
            yield pixels

    def answer(self, prepared: Sequence[Prepared | Described | RequestError]) -> list[Outcome]:
        """Answer several requests together; what is no prepared request stays as it is.

        A request fails alone: if its deadline has passed, or the network fails on a picture of it.
        """
        due = [self._due(item) for item in prepared]
        pixels = [picture for item in due if isinstance(item, Prepared) for picture in item.pixels]
        start = time.perf_counter()
        outcomes = iter(isolation.run(self.engine, pixels, self._spec.batch_size, self.device))
        inference_ms = 1e3 * (time.perf_counter() - start)
        return [
            self._answered(item, [next(outcomes) for _ in item.pixels], inference_ms)
            if isinstance(item, Prepared)
            else item
            for item in due
        ]

    @staticmethod
    def _due(item: Prepared | Described | RequestError) -> Prepared | Described | RequestError:
        try:
            if isinstance(item, Prepared):
                item.options.require_time()
        except DeadlineExceeded as late:
            return late
        return item

    def _answered(
        self, item: Prepared, outcomes: Sequence[isolation.Outcome], inference_ms: float
    ) -> Answered | RequestError:
        failure = next((outcome for outcome in outcomes if isinstance(outcome, RequestError)), None)
        if failure is not None:
            return failure
        return Answered(
            pictures=[
                predictions.classify(logits, self.labels, item.options.top_k)
                for logits in outcomes
                if isinstance(logits, torch.Tensor)
            ],
            reply=item.reply,
            shape=item.options.response,
            model=self._spec.name,
            version=self._version,
            stages={"decode": item.decode_ms, "inference": inference_ms},
        )

    def description(self) -> dict[str, Any]:
        """What this model is: its settings, weights, engine and the versions that run it."""
        return {
            "model": self._spec.name,
            "version": self._version,
            "weights": {"file": self._spec.handler.weights, "sha256": self._spec.handler.sha256},
            "engine": self.engine.name,
            "precision": self.engine.precision,
            "why": self.why,
            "device": str(self.device),
            "classes": len(self.labels),
            "spec": self._spec.to_mapping(),
            "versions": {
                "python": platform.python_version(),
                **{module.__name__: module.__version__ for module in (visionserve, torch, PIL)},
                "torchvision": metadata.version("torchvision"),
            },
        }

    def pixels(self, data: bytes | bytearray) -> npt.NDArray[np.uint8]:
        """One encoded picture as uint8 `[H, W, 3]` at the network's input size.

        Raises:
            RequestError: It cannot be decoded.
        """
        return self._fitted(data, exact=self._exact)

    def _fitted(self, data: bytes | bytearray, *, exact: bool) -> npt.NDArray[np.uint8]:
        return decode.prepare(data, self._spec.handler.max_pixels, self._input, exact=exact)[0]

    def logits(self, pixels: Sequence[npt.NDArray[np.uint8]]) -> torch.Tensor:
        """Run the network on any number of pictures, in batches no larger than the model's batch size.

        Returns:
            float32 `[N, classes]` on the CPU.
        """
        size = self._spec.batch_size
        batches = [decode.stack(pixels[start : start + size]) for start in range(0, len(pixels), size)]
        return torch.cat([self.engine.logits(batch) for batch in batches])

    def golden_probabilities(self) -> torch.Tensor:
        """This network's answers to the golden pictures: float32 `[pictures, classes]`.

        Decoded exactly whatever the model's `decode`: what is proven is the engine, as it is in every precision.
        """
        pixels = [self._fitted(picture.data, exact=True) for picture in golden.pictures()]
        return self.logits(pixels).softmax(dim=1)

    def warm_up(self) -> None:
        """Run every batch size that makes a difference once, so that no request pays for a first call."""
        largest = 1 if self.engine.one_by_one else self._spec.batch_size
        blank = torch.zeros(largest, self._input.crop, self._input.crop, 3, dtype=torch.uint8)
        for size in range(1, largest + 1):
            self.engine.logits(blank[:size])

    def prove(self, expected: Sequence[golden.GoldenAnswer]) -> None:
        """Check this network against recorded golden answers.

        Raises:
            GoldenError: It answers differently.
        """
        tolerance = golden.TOLERANCE[self.engine.precision]
        golden.verify(expected, self.golden_probabilities(), self.labels, tolerance)
