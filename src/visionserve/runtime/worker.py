"""A served model: requests in, as many responses out, each with its own outcome.

This is all that a server needs of the runtime:

    worker = Worker.open(folder)           # an unpacked archive: loaded, warmed up, proven
    responses = worker.answer(requests)    # never raises
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch

from visionserve.runtime import archive, integrity, predictions
from visionserve.runtime.decoders.pool import Decoders, too_slow
from visionserve.runtime.decoders.process import Decoded
from visionserve.runtime.description import describe
from visionserve.runtime.engines import Source, isolation, selection
from visionserve.runtime.exchange import Exchange, unexpected
from visionserve.runtime.machine import cores
from visionserve.runtime.machine import device as devices
from visionserve.runtime.model import Model
from visionserve.runtime.pictures import decode, jpeg
from visionserve.runtime.proof import agreement
from visionserve.runtime.wire import payload, responses
from visionserve.runtime.wire.errors import ExplanationUnsupported, RequestError
from visionserve.runtime.wire.options import Options
from visionserve.runtime.wire.responses import Answered, Described, Response

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    import numpy.typing as npt

    from visionserve.runtime.engines.selection import Choice
    from visionserve.runtime.wire.request import Request

logger = logging.getLogger(__name__)


class Worker:
    """One model on one device, with the processes that decode for it and a thread for each of them.

    Args:
        model: What is served.
        config: The archive's `model-config.yaml`, parsed, for descriptions.
        choice: The engine that runs it, warmed up and proven, and why that one.
        device: Where it runs.
        decoders: What decodes; `close` closes it.
    """

    def __init__(
        self, model: Model, config: Mapping[str, Any], choice: Choice, device: torch.device, decoders: Decoders
    ) -> None:
        self.model = model
        self.engine = choice.engine
        self.why = choice.why
        self.device = device
        self._description = describe(model, config, choice, device)
        self._exact = jpeg.is_exact(model.decoding, choice.engine.precision)
        self._defaults = Options(top_k=model.top_k, response=model.response)
        self._decoders = decoders
        self._preparing = ThreadPoolExecutor(decoders.count, "prepare")

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        name: str | None = None,
        device: torch.device | None = None,
        threads: int | None = None,
    ) -> Worker:
        """Load the model of an unpacked archive into the fastest engine that gives its golden answers.

        Pillow's limits and torch's number of threads are set for the whole process.

        Args:
            folder: The unpacked archive.
            name: The name it is served by. Default: the archive's own.
            device: Where to run. Default: the first GPU, else the CPU.
            threads: The cores to compute and decode with. Default: all.

        Raises:
            IntegrityError: A member of the archive is not what was built.
            SpecError: The archive's settings are damaged.
            WeightsError: Its weights are damaged or not those of its architecture.
            EngineError: There is no engine here that the archive allows.
            GoldenError: The network answers differently from when it was built.
            OSError: The processes that decode could not be started.
        """
        integrity.require_members(folder, archive.read_digests(folder))
        config = archive.read_config(folder)
        labels = archive.read_labels(folder)
        identity = archive.read_identity(folder)
        model = Model.from_config(config, labels, name or identity.name, identity.version)
        device = device or devices.best()
        threads = threads or cores.available()
        torch.set_num_threads(threads)
        decode.configure_pillow()
        decoders = Decoders(model.transform, threads, model.max_pixels)
        try:
            known = archive.read_golden(folder, labels)
            choice = selection.choose(Source(folder, model, device, threads), known, decoders.wait)
            decoders.wait()
            worker = cls(model, config, choice, device, decoders)
            agreement.check_decoding(worker.decode, model.transform, known)
        except BaseException:
            decoders.close()
            raise
        return worker

    def close(self) -> None:
        """End the decoding processes."""
        self._preparing.shutdown()
        self._decoders.close()

    @property
    def description(self) -> Mapping[str, Any]:
        """What this model is: its settings, weights, engine and the versions that run it, as JSON has it."""
        return self._description

    def answer(self, requests: Sequence[Request]) -> list[Response]:
        """Answer requests together, in their order; each fails alone and nothing is raised.

        Not to be called after `close`.
        """
        exchanges = [Exchange(request, self._defaults) for request in requests]
        list(self._preparing.map(self._prepare, exchanges))
        self._infer(exchanges)
        return [self._respond(exchange, len(exchanges)) for exchange in exchanges]

    def _prepare(self, exchange: Exchange) -> None:
        """Find a request's pictures and decode them to the network's input size."""
        with exchange.guard():
            request = exchange.request
            if request.asks_description:
                exchange.outcome = Described(self._description)
                return
            start = time.perf_counter()
            if request.asks_explanation:
                raise ExplanationUnsupported("this model gives predictions, no explanations of them")
            exchange.options = Options.read(request.sent, self._defaults)
            exchange.options.require_time()
            asked = payload.parse(request, self.model.max_images, self.model.max_pixels)
            exchange.reply = asked.reply
            pixels_left, seconds_left = self.model.max_pixels, self._decoders.seconds
            for picture in asked.pictures:
                exchange.options.require_time()
                decoded = self._pixels(picture, pixels_left, seconds_left)
                exchange.pixels.append(decoded.pixels)
                pixels_left -= decoded.size
                seconds_left -= decoded.seconds
            exchange.decode_ms = 1e3 * (time.perf_counter() - start)

    def decode(self, picture: bytes) -> npt.NDArray[np.uint8]:
        """A golden picture, decoded as a request's are, whatever the model allows: uint8 `[crop, crop, 3]`.

        Raises:
            RequestError: See `Decoders.prepare`.
        """
        return self._pixels(picture, agreement.MAX_PIXELS, self._decoders.seconds).pixels

    def _pixels(
        self, picture: bytes | bytearray | npt.NDArray[np.uint8], max_pixels: int, seconds: float
    ) -> Decoded:
        """A picture at the network's input size, the pixels it had and the seconds it took of a core."""
        if isinstance(picture, np.ndarray):
            # Nothing is decoded, but enlarging pixels of 1:100 may take 0.2 s, and a request holds many of them.
            if seconds <= 0:
                raise too_slow(self._decoders.seconds, alone=False)
            start = time.thread_time()
            pixels, size = decode.prepare(picture, max_pixels, self.model.transform, exact=self._exact)
            return Decoded(pixels, size, time.thread_time() - start)
        return self._decoders.prepare(picture, max_pixels, seconds, exact=self._exact)

    def _infer(self, exchanges: Sequence[Exchange]) -> None:
        """Run the network on the pictures of all requests that are still to be answered."""
        for exchange in exchanges:
            if exchange.outcome is None:
                with exchange.guard():
                    exchange.options.require_time()
        due = [exchange for exchange in exchanges if exchange.outcome is None]
        pixels = [picture for exchange in due for picture in exchange.pixels]
        start = time.perf_counter()
        try:
            results = iter(isolation.run(self.engine, pixels, self.model.batch_size, self.device))
        except Exception:
            logger.exception("a batch of %d pictures failed unexpectedly", len(pixels))
            results = iter([unexpected()] * len(pixels))
        inference_ms = 1e3 * (time.perf_counter() - start)
        for exchange in due:
            own = list(islice(results, len(exchange.pixels)))
            with exchange.guard():
                exchange.outcome = self._answered(exchange, own, inference_ms)

    def _answered(self, exchange: Exchange, results: Sequence[isolation.Result], inference_ms: float) -> Answered:
        options = exchange.options
        return Answered(
            pictures=[
                predictions.classify(logits, self.model.labels, options.top_k) for logits in _logits(results)
            ],
            reply=exchange.reply,
            shape=options.response,
            model=self.model.name,
            version=self.model.version,
            stages={"decode": exchange.decode_ms, "inference": inference_ms},
        )

    @staticmethod
    def _respond(exchange: Exchange, batch: int) -> Response:
        try:
            return responses.respond(exchange.outcome or unexpected(), batch)
        except Exception:
            logger.exception("an answer could not be written")
            return responses.respond(unexpected(), batch)


def _logits(results: Sequence[isolation.Result]) -> Iterator[torch.Tensor]:
    """The logits of one request's pictures.

    Raises:
        RequestError: One of them has none; the request has no answer then.
    """
    for result in results:
        if isinstance(result, RequestError):
            raise result
        yield result
