"""What TorchServe calls: encoded pictures in, labels with probabilities out.

TorchServe looks for exactly one class in this file; all else travels beside it in `visionserve/runtime`.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from visionserve.runtime import predictions
from visionserve.runtime.classifier import Classifier, Prepared
from visionserve.runtime.errors import ModelFailure, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from visionserve.runtime.predictions import Answered

_In = TypeVar("_In")
_Out = TypeVar("_Out")

logger = logging.getLogger(__name__)


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
                Path(properties["model_dir"]), context.model_name, context.model_yaml_config, device
            )
        except Exception as error:
            cause = " ".join(str(error).split()) or type(error).__name__
            logger.error("visionserve cannot serve %s: %s", context.model_name, cause)
            raise RuntimeError(cause) from error
        logger.info("visionserve serves %s on %s", context.model_name, device)

    def preprocess(self, requests: Sequence[Mapping[str, Any]]) -> list[Prepared | RequestError]:
        """Each request's pictures as pixels, or what is wrong with it."""
        return [self._attempt(self.classifier.prepare, request) for request in requests]

    def inference(self, prepared: Sequence[Prepared | RequestError]) -> list[Answered | RequestError]:
        """Each request's answers, or its error; a batch that fails is run again request by request."""
        good = [item for item in prepared if isinstance(item, Prepared)]
        together = self._attempt(self.classifier.answer, good)
        answers: Iterator[Answered | RequestError] = iter(
            [self._attempt(self.classifier.answer_one, item) for item in good]
            if isinstance(together, RequestError)
            else together
        )
        return [next(answers) if isinstance(item, Prepared) else item for item in prepared]

    def postprocess(self, answered: Sequence[Answered | RequestError], context: Any) -> list[bytes]:
        """The bytes of each response, its status and headers set; `X-Batch-Size` counts its batch."""
        for index, answer in enumerate(answered):
            context.set_response_content_type(index, "application/json")
            context.set_response_header(index, "X-Batch-Size", str(len(answered)))
            if isinstance(answer, RequestError):
                context.set_response_status(answer.status, HTTPStatus(answer.status).phrase, index)
        return [
            predictions.error_response(answer)
            if isinstance(answer, RequestError)
            else predictions.response(answer)
            for answer in answered
        ]

    def handle(self, requests: Sequence[Mapping[str, Any]], context: Any) -> list[bytes]:
        """Answer a batch."""
        return self.postprocess(self.inference(self.preprocess(requests)), context)

    @staticmethod
    def _attempt(call: Callable[[_In], _Out], argument: _In) -> _Out | RequestError:
        try:
            return call(argument)
        except RequestError as error:
            return error
        except Exception:
            logger.exception("a request failed unexpectedly")
            return ModelFailure("the model could not answer this request; the server's log says why")
