"""LitServe, running one of our two programs for it: its documented recipe, or the same with our engine."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from base64 import b64encode
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import process
from benchmarks.contenders import NotRun

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.deployment import Deployment
    from benchmarks.traffic import Form

# Its own benchmark of an image classifier on a CPU: tests/parity_fastapi/ls-server.py in Lightning-AI/LitServe.
_DOCUMENTED: dict[str, object] = {
    "max_batch_size": 8,
    "batch_timeout": 0.01,
    "workers_per_device": 2,
    "fast_queue": True,
}


class _LitServe:
    """A LitServe server in a process of its own."""

    name: str
    title: str
    what: str
    settings: dict[str, object]
    program: str
    target = "/predict"
    form: Form = "base64"

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def model(self) -> Mapping[str, object]:
        """What the program needs to know of the model."""
        raise NotImplementedError

    def prepare(self) -> None:
        """See `Server.prepare`."""
        if find_spec("litserve") is None:
            raise NotRun("litserve is not installed; pip install --group benchmark")
        self.model()

    def start(self) -> None:
        """See `Server.start`."""
        job = {"port": process.free_port(), "settings": dict(self.settings), **self.model()}
        self._folder = Path(tempfile.mkdtemp(prefix="litserve-"))
        self.port = int(str(job["port"]))
        self._child = process.Child(
            [sys.executable, "-m", self.program, json.dumps(job)],
            self._folder / "output.log",
            Path(__file__).parents[2],
            {"TMPDIR": str(self._folder)},
        )
        body = json.dumps({"image_data": b64encode(self._deployment.greeting).decode()}).encode()
        url = f"http://127.0.0.1:{self.port}{self.target}"
        self._child.wait_until(lambda: process.answers(url, body, "application/json"), self.title)

    @property
    def tree(self) -> process.Tree:
        """See `Server.tree`."""
        return self._child.tree

    def stop(self) -> None:
        """See `Server.stop`."""
        if hasattr(self, "_child"):
            self._child.stop()
        if hasattr(self, "_folder"):
            shutil.rmtree(self._folder, ignore_errors=True)


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
    program = "benchmarks.contenders.litserve_recipe"

    def model(self) -> Mapping[str, object]:
        """See `_LitServe.model`."""
        return {
            "architecture": self._deployment.spec.handler.architecture,
            "weights": str(self._deployment.weights),
            "classes": len(self._deployment.labels),
        }


class LitServeEngine(_LitServe):
    """LitServe with our decoding and our engine, and our batch size and delay.

    Args:
        deployment: The model.
        variant: One of `deployment.VARIANTS`.
    """

    program = "benchmarks.contenders.litserve_engine"

    def __init__(self, deployment: Deployment, variant: str) -> None:
        super().__init__(deployment)
        self._variant = variant
        self.name = f"litserve-engine-{variant}"
        self.title = f"LitServe with our engine, {variant}"
        self.what = (
            "litserve around visionserve.runtime's Classifier: the same archive, decoding, engine and top-5"
            " answer, one worker that uses every core, our batch size and delay, base64 in JSON"
        )
        spec = deployment.spec
        self.settings = {
            **_DOCUMENTED,
            "max_batch_size": spec.batch_size,
            "batch_timeout": spec.max_batch_delay / 1000,
            "workers_per_device": 1,
        }

    def model(self) -> Mapping[str, object]:
        """See `_LitServe.model`."""
        return {"archive": str(self._deployment.unpacked(self._variant))}
