"""What TorchServe calls: its requests to ours, our responses to its.

TorchServe looks for exactly one class in this file; all else travels beside it in `visionserve/runtime`.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionserve.runtime.machine import cores, device
from visionserve.runtime.wire.request import Request
from visionserve.runtime.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from visionserve.runtime.wire.responses import Response

logger = logging.getLogger(__name__)


class ImageClassifier:
    """N requests in, N answers out in the same order, each with its own status; no request raises."""

    def initialize(self, context: Any) -> None:
        """Load, warm up and prove the model.

        Raises:
            RuntimeError: It cannot serve; the one-line cause is logged as well, where the launcher reads it.
        """
        properties = context.system_properties
        on = device.of_worker(properties.get("gpu_id"))
        try:
            self.worker = Worker.open(
                Path(properties["model_dir"]),
                name=context.model_name,
                device=on,
                threads=cores.threads(context.model_yaml_config["minWorkers"]),
            )
        except Exception as error:
            cause = " ".join(str(error).split()) or type(error).__name__
            logger.error("visionserve cannot serve %s: %s", context.model_name, cause)
            raise RuntimeError(cause) from error
        logger.info("visionserve serves %s on %s with %s", context.model_name, on, self.worker.why)

    def preprocess(self, data: Sequence[Mapping[str, Any]], context: Any) -> list[Request]:
        """TorchServe's batch as requests."""
        return [Request(fields, context.get_all_request_header(index)) for index, fields in enumerate(data)]

    def inference(self, requests: Sequence[Request]) -> list[Response]:
        """Each request's response, be it an answer or an error."""
        return self.worker.answer(requests)

    def postprocess(self, responses: Sequence[Response], context: Any) -> list[bytes]:
        """The bytes of each response, its status and headers set.

        Reason phrases come from a fixed list in ASCII: TorchServe sends others wrongly, or dies of them.
        """
        for index, response in enumerate(responses):
            context.set_response_status(response.status, HTTPStatus(response.status).phrase, index)
            context.set_response_content_type(index, response.content_type)
            for name, value in response.headers.items():
                context.set_response_header(index, name, value)
        return [response.body for response in responses]

    def handle(self, data: Sequence[Mapping[str, Any]], context: Any) -> list[bytes]:
        """Answer a batch."""
        return self.postprocess(self.inference(self.preprocess(data, context)), context)
