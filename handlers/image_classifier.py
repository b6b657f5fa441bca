"""What TorchServe calls: encoded pictures in, labels with probabilities out.

TorchServe looks for exactly one class in this file; all else travels beside it in `visionserve/runtime`.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from visionserve.runtime.classifier import Classifier, Outcome, Prepared
from visionserve.runtime.errors import ModelFailure, RequestError
from visionserve.runtime.machine import cores
from visionserve.runtime.wire import responses
from visionserve.runtime.wire.request import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from visionserve.runtime.wire.responses import Described

_In = TypeVar("_In")
_Out = TypeVar("_Out")

logger = logging.getLogger(__name__)

_UNEXPECTED = ModelFailure("the model could not answer this request; the server's log says why")


class ImageClassifier:
    """N requests in, N answers out in the same order, each with its own status; nothing is raised."""

    def initialize(self, context: Any) -> None:
        """Load, warm up and prove the model.

        Raises:
            RuntimeError: It cannot serve; the one-line cause is logged as well, where the launcher reads it.
        """
        properties = context.system_properties
        device = (
            torch.device("cuda", properties["gpu_id"])
            if torch.cuda.is_available() and properties.get("gpu_id") is not None
            else torch.device("cpu")
        )
        try:
            self.classifier = Classifier.open(
                Path(properties["model_dir"]),
                context.model_name,
                context.manifest["model"]["modelVersion"],
                context.model_yaml_config,
                device,
            )
        except Exception as error:
            cause = " ".join(str(error).split()) or type(error).__name__
            logger.error("visionserve cannot serve %s: %s", context.model_name, cause)
            raise RuntimeError(cause) from error
        self._pool = ThreadPoolExecutor(cores.available(), "decoder")
        logger.info("visionserve serves %s on %s with %s", context.model_name, device, self.classifier.why)

    def preprocess(self, requests: Sequence[Request]) -> list[Prepared | Described | RequestError]:
        """Each request's pictures as pixels, or what is wrong with it; as many at once as there are cores."""
        return list(self._pool.map(self._attempt, repeat(self.classifier.prepare), requests))

    def inference(self, prepared: Sequence[Prepared | Described | RequestError]) -> list[Outcome]:
        """Each request's answer, or its error: one that the network fails on fails alone."""
        return self.classifier.answer(prepared)

    def postprocess(self, outcomes: Sequence[Outcome], context: Any) -> list[bytes]:
        """The bytes of each response, its status and headers set; `X-Batch-Size` counts its batch.

        Reason phrases come from a fixed list in ASCII: TorchServe sends others wrongly, or dies of them.
        """
        made = [responses.respond(outcome) for outcome in outcomes]
        for index, response in enumerate(made):
            context.set_response_status(response.status, HTTPStatus(response.status).phrase, index)
            context.set_response_content_type(index, response.content_type)
            for name, value in {**response.headers, "X-Batch-Size": str(len(made))}.items():
                context.set_response_header(index, name, value)
        return [response.body for response in made]

    def handle(self, data: Sequence[Mapping[str, Any]], context: Any) -> list[bytes]:
        """Answer a batch."""
        try:
            requests = [
                Request(fields, context.get_all_request_header(index)) for index, fields in enumerate(data)
            ]
            return self.postprocess(self.inference(self.preprocess(requests)), context)
        except Exception:  # whatever it is, TorchServe would answer the whole batch with it
            logger.exception("a batch of %d failed unexpectedly", len(data))
            return self.postprocess([_UNEXPECTED] * len(data), context)

    @staticmethod
    def _attempt(call: Callable[[_In], _Out], argument: _In) -> _Out | RequestError:
        try:
            return call(argument)
        except RequestError as error:
            return error
        except Exception:
            logger.exception("a request failed unexpectedly")
            return _UNEXPECTED
