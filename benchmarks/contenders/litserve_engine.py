"""The program of `LitServeEngine`: LitServe's front end around the classifier that our worker runs."""

from __future__ import annotations

import base64
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import litserve

from benchmarks.contenders.engine_alone import open_archive
from visionserve.runtime import predictions

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOP = 5


class ImageClassifier(litserve.LitAPI):  # type: ignore[misc]
    """Base64 pictures in, the five most probable labels out."""

    def __init__(self, job: dict[str, Any], **batching: Any) -> None:
        super().__init__(**batching)
        self.job = job

    def setup(self, device: str) -> None:
        """Load, warm up and prove the model."""
        del device  # the archive's engine knows
        self.classifier = open_archive(Path(self.job["archive"]))
        self.pool = ThreadPoolExecutor(os.cpu_count())

    def decode_request(self, request: dict[str, str]) -> str:
        """The picture, still encoded."""
        return request["image_data"]

    def batch(self, inputs: Sequence[str]) -> list[Any]:
        """Decode and resize a batch on threads."""
        return list(self.pool.map(lambda encoded: self.classifier.pixels(base64.b64decode(encoded)), inputs))

    def predict(self, x: list[Any]) -> list[dict[str, float]]:
        """The five most probable labels of each picture."""
        answers = (predictions.classify(row, self.classifier.labels, _TOP) for row in self.classifier.logits(x))
        return [{one.label: one.probability for one in answer} for answer in answers]

    def unbatch(self, output: list[dict[str, float]]) -> list[dict[str, float]]:
        """One answer per request."""
        return output

    def encode_response(self, output: dict[str, float]) -> dict[str, float]:
        """The answer as JSON."""
        return output


def main() -> None:
    """Serve the job given as JSON."""
    job: dict[str, Any] = json.loads(sys.argv[1])
    settings = job["settings"]
    api = ImageClassifier(job, max_batch_size=settings["max_batch_size"], batch_timeout=settings["batch_timeout"])
    server = litserve.LitServer(
        api,
        accelerator="cpu",
        workers_per_device=settings["workers_per_device"],
        fast_queue=settings["fast_queue"],
    )
    server.run(host="127.0.0.1", port=job["port"], log_level="warning", generate_client_file=False)


if __name__ == "__main__":
    main()
