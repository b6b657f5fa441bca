"""The program of `LitServeRecipe`: a torchvision classifier served the way LitServe's own guide does it."""

from __future__ import annotations

import base64
import io
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import litserve
import torch
import torchvision
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Sequence


class ImageClassifier(litserve.LitAPI):  # type: ignore[misc]
    """Base64 pictures in, class indices out."""

    def __init__(self, job: dict[str, Any], **batching: Any) -> None:
        super().__init__(**batching)
        self.job = job

    def setup(self, device: str) -> None:
        """Load the network, once in each worker."""
        name = self.job["architecture"]
        self.transform = torchvision.models.get_model_weights(name).DEFAULT.transforms()
        network = torchvision.models.get_model(name, weights=None, num_classes=self.job["classes"])
        network.load_state_dict(torch.load(self.job["weights"], weights_only=True))
        self.network = network.eval().to(device)
        self.target = device
        self.pool = ThreadPoolExecutor(os.cpu_count())

    def decode_request(self, request: dict[str, str]) -> str:
        """The picture, still encoded."""
        return request["image_data"]

    def batch(self, inputs: Sequence[str]) -> torch.Tensor:
        """Decode and transform a batch on threads: float32 `[N, 3, H, W]`."""
        return torch.stack(list(self.pool.map(self._pixels, inputs))).to(self.target)

    @torch.inference_mode()
    def predict(self, x: torch.Tensor) -> torch.Tensor:
        """The best class of each picture."""
        best: torch.Tensor = self.network(x).argmax(dim=1)
        return best

    def unbatch(self, output: torch.Tensor) -> list[int]:
        """One answer per request."""
        return output.tolist()

    def encode_response(self, output: int) -> dict[str, int]:
        """The answer as JSON."""
        return {"output": output}

    def _pixels(self, encoded: str) -> torch.Tensor:
        image = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")
        pixels: torch.Tensor = self.transform(image)
        return pixels


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
