"""What TorchServe calls: encoded pictures in, labels with probabilities out.

TorchServe looks for exactly one class in this file; all else travels beside it in `visionserve/runtime`.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from visionserve.runtime import classifier, errors, predictions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
            self.classifier = classifier.Classifier.open(
                Path(properties["model_dir"]), context.model_name, context.model_yaml_config, device
            )
        except Exception as error:
            cause = " ".join(str(error).split()) or type(error).__name__
            logger.error("visionserve cannot serve %s: %s", context.model_name, cause)  # noqa: TRY400
            raise RuntimeError(cause) from error
        logger.info("visionserve serves %s on %s", context.model_name, device)

    def preprocess(
        self, requests: Sequence[Mapping[str, Any]]
    ) -> list[classifier.Prepared | errors.RequestError]:
        """Each request's pictures as pixels, or what is wrong with it."""
        return [self._attempt(self.classifier.prepare, request) for request in requests]

    def inference(
        self, prepared: Sequence[classifier.Prepared | errors.RequestError]
    ) -> list[list[predictions.Answer] | errors.RequestError]:
        """Each request's answers, or its error; a failing batch is run again request by request."""
        good = [item for item in prepared if not isinstance(item, errors.RequestError)]
        together = self._attempt(self._answers, [pixels for item in good for pixels in item.pixels])
        if isinstance(together, errors.RequestError):
            return [
                item if isinstance(item, errors.RequestError) else self._attempt(self._answers, item.pixels)
                for item in prepared
            ]
        answers = iter(together)
        return [
            item if isinstance(item, errors.RequestError) else [next(answers) for _ in item.pixels]
            for item in prepared
        ]

    def postprocess(
        self,
        prepared: Sequence[classifier.Prepared | errors.RequestError],
        answered: Sequence[list[predictions.Answer] | errors.RequestError],
        context: Any,
    ) -> list[bytes]:
        """The bytes of each response, its status and content type set."""
        bodies = []
        for index, (request, answers) in enumerate(zip(prepared, answered, strict=True)):
            context.set_response_content_type(index, "application/json")
            if isinstance(request, errors.RequestError) or isinstance(answers, errors.RequestError):
                error = answers if isinstance(answers, errors.RequestError) else request
                context.set_response_status(error.status, HTTPStatus(error.status).phrase, index)
                bodies.append(predictions.error_response(error))
            else:
                bodies.append(predictions.response(answers, listed=request.listed))
        return bodies

    def handle(self, requests: Sequence[Mapping[str, Any]], context: Any) -> list[bytes]:
        """Answer a batch."""
        prepared = self.preprocess(requests)
        return self.postprocess(prepared, self.inference(prepared), context)

    def _answers(self, pixels: list[Any]) -> list[predictions.Answer]:
        return self.classifier.answers(self.classifier.logits(pixels)) if pixels else []

    @staticmethod
    def _attempt(call: Any, argument: Any) -> Any:
        try:
            return call(argument)
        except errors.RequestError as error:
            return error
        except Exception:
            logger.exception("a request failed unexpectedly")
            return errors.ModelFailure("the model could not answer this request; the server's log says why")
