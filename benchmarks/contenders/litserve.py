"""LitServe, running one of our two programs for it: its documented recipe, or the same with our engine."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING

from benchmarks.contenders.program import Program

if TYPE_CHECKING:
    from benchmarks.deployment import Deployment
    from benchmarks.traffic import Form

# Its own benchmark of an image classifier on a CPU: tests/parity_fastapi/ls-server.py in Lightning-AI/LitServe.
_DOCUMENTED: dict[str, object] = {
    "max_batch_size": 8,
    "batch_timeout": 0.01,
    "workers_per_device": 2,
    "fast_queue": True,
}


class _LitServe(Program):
    """LitServe with one of our two programs."""

    library = "litserve"
    form: Form = "base64"

    def greeting(self) -> tuple[bytes, str]:
        """See `Program.greeting`."""
        document = {"image_data": b64encode(self._deployment.greeting).decode()}
        return json.dumps(document).encode(), "application/json"


class LitServeRecipe(_LitServe):
    """LitServe as its authors serve an image classifier."""

    name = "litserve"
    title = "LitServe, documented recipe"
    what = (
        "litserve with the image classifier of its guide (lightning.ai/docs/litserve/speed-up-serving-by-200x) and"
        " of its own benchmark (tests/parity_fastapi/ls-server.py, CPU settings): torchvision network and"
        " transform, eager fp32, Pillow, threads for decoding, base64 in JSON"
    )
    settings = _DOCUMENTED
    module = "benchmarks.contenders.litserve_recipe"

    def arguments(self, port: int) -> list[str]:
        """See `Program.arguments`."""
        job = {
            "port": port,
            "settings": self.settings,
            "architecture": self._deployment.spec.handler.architecture,
            "weights": str(self._deployment.weights),
            "classes": len(self._deployment.labels),
        }
        return [json.dumps(job)]


class LitServeEngine(_LitServe):
    """LitServe with our decoding and our engine, and our batch size and delay.

    Args:
        deployment: The model.
        variant: One of `deployment.VARIANTS`.
    """

    module = "benchmarks.contenders.litserve_engine"

    def __init__(self, deployment: Deployment, variant: str) -> None:
        super().__init__(deployment)
        self._variant = variant
        self.name = f"litserve-engine-{variant}"
        self.title = f"LitServe with our engine, {variant}"
        self.what = (
            "litserve around visionserve.runtime's Worker: the same archive, decoding, engine and answer, one"
            " worker that uses every core, our batch size and delay, base64 in JSON"
        )
        spec = deployment.spec
        self._batching = {"max_batch_size": spec.batch_size, "batch_timeout": spec.max_batch_delay / 1000}
        self.settings = {**self._batching, "workers_per_device": 1, "fast_queue": True}

    def arguments(self, port: int) -> list[str]:
        """See `Program.arguments`."""
        archive = str(self._deployment.unpacked(self._variant))
        return [json.dumps({"port": port, "batching": self._batching, "archive": archive})]
