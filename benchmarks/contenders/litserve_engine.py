"""The program of `LitServeEngine`: LitServe's front end around the worker that TorchServe runs for us."""

import json
import sys
from pathlib import Path

import fastapi
import litserve

from visionserve.runtime.wire.request import Request
from visionserve.runtime.wire.responses import Response
from visionserve.runtime.worker import Worker

JOB = json.loads(sys.argv[1])


class ImageClassifier(litserve.LitAPI):  # type: ignore[misc]
    """`{"image_data": "<base64>"}` in, the worker's own responses out."""

    def setup(self, device: str) -> None:  # noqa: ARG002  the archive's engine knows
        """Load, warm up and prove the model."""
        self.worker = Worker.open(Path(JOB["archive"]))

    def decode_request(self, request: fastapi.Request) -> Request:
        """The same request as TorchServe hands to our handler."""
        return Request({"body": {"data": request["image_data"]}}, {"Content-Type": "application/json"})

    def predict(self, x: list[Request]) -> list[Response]:
        """Answer a batch."""
        return self.worker.answer(x)

    def encode_response(self, output: Response) -> fastapi.Response:
        """Status, headers and body as they are."""
        return fastapi.Response(output.body, output.status, dict(output.headers), output.content_type)


if __name__ == "__main__":
    server = litserve.LitServer(ImageClassifier(**JOB["batching"]), accelerator="cpu", fast_queue=True)
    server.run(host="127.0.0.1", port=JOB["port"], log_level="warning", generate_client_file=False)
