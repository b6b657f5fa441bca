"""TorchServe as it comes: its own archiver, its own launcher, its own `image_classifier`, its own defaults."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from benchmarks import process
from benchmarks.errors import NotRun
from visionserve.server.instance import java
from visionserve.server.settings import properties

if TYPE_CHECKING:
    from benchmarks.deployment import Deployment
    from benchmarks.traffic import Form

# What TorchServe's eager mode asks for: a file with one class that takes no arguments; after the examples of
# pytorch/serve (examples/image_classifier/resnet_152_batch and vgg_16).
_MODEL_FILES = {
    "resnet50": """\
from torchvision.models.resnet import Bottleneck, ResNet


class ImageClassifier(ResNet):
    def __init__(self):
        super().__init__(Bottleneck, [3, 4, 6, 3], num_classes={classes})
""",
    "vgg16": """\
from torchvision.models.vgg import VGG, cfgs, make_layers


class ImageClassifier(VGG):
    def __init__(self):
        super().__init__(make_layers(cfgs["D"], batch_norm=False), num_classes={classes}, init_weights=False)
""",
}

# The stock handler imports OpenVINO's torch backend where it finds one and never uses it: hidden, or it would only
# weigh on this contender's memory and start.
_HIDDEN_OPENVINO = 'raise ImportError("hidden: the stock handler would import it without using it")\n'


class StockTorchServe:
    """TorchServe's `image_classifier`.

    Args:
        deployment: The model.
        workers: Worker processes; TorchServe's own default, one per core, without.
    """

    def __init__(self, deployment: Deployment, workers: int | None) -> None:
        self._deployment = deployment
        count = f"{workers} worker" if workers == 1 else "default workers"
        self.name = f"stock-{workers or 'default'}"
        self.title = f"TorchServe image_classifier, {count}"
        self.what = (
            "torchserve 0.12 with its own image_classifier handler (eager fp32, batch size 1, a worker per core"
            " unless said), archive made by torch-model-archiver, started by `torchserve --start --foreground"
            " --ncs` with every default but ports"
        )
        self.settings: dict[str, object] = {"disable_token_authorization": True}
        if workers is not None:
            self.settings["default_workers_per_model"] = workers
        self.target = f"/predictions/{deployment.name}"
        self.form: Form = "body"

    def prepare(self) -> None:
        """See `Server.prepare`."""
        architecture = self._deployment.spec.handler.architecture
        if architecture not in _MODEL_FILES:
            raise NotRun(f"no model file for {architecture}; there are {', '.join(_MODEL_FILES)}")
        for package in ("captum", "model_archiver"):
            if find_spec(package) is None:
                raise NotRun(f"{package} is not installed; pip install --group benchmark")
        self._store = self._deployment.root / "stock"
        if not (self._store / f"{self._deployment.name}.mar").exists():
            self._archive(architecture)

    def start(self) -> None:
        """See `Server.start`."""
        self._folder = Path(tempfile.mkdtemp(prefix="stock-"))  # short: workers' sockets lie in it
        store = self._store
        self.port, config = self._configure(store)
        home = java.find().parent.parent
        python = Path(sys.executable).parent
        self._child = process.Child(
            [
                *(str(python / "torchserve"), "--start", "--foreground", "--ncs"),
                *("--ts-config", str(config), "--model-store", str(store)),
                *("--models", f"{self._deployment.name}={self._deployment.name}.mar"),
            ],
            self._folder / "output.log",
            self._folder,
            {
                "JAVA_HOME": str(home),
                "PATH": f"{home / 'bin'}:/usr/bin:/bin",
                "PYTHONPATH": str(self._hidden()),
                "TEMP": str(self._folder),
                "TMPDIR": str(self._folder),
                "LOG_LOCATION": str(self._folder / "logs"),
                "METRICS_LOCATION": str(self._folder / "logs"),
                "TS_CONFIG_FILE": None,
                "LOG4J_CONFIGURATION_FILE": None,
            },
        )
        url = f"http://127.0.0.1:{self.port}{self.target}"
        self._child.wait_until(
            lambda: process.answers(url, self._deployment.greeting, "application/octet-stream"), self.title
        )

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

    def _archive(self, architecture: str) -> None:
        labels = self._deployment.labels
        self._store.mkdir(parents=True, exist_ok=True)
        # Private, for the archiver deletes a folder of the model's name from the temporary folder.
        with tempfile.TemporaryDirectory(prefix="archiver-") as folder:
            model_file, names = Path(folder) / "model.py", Path(folder) / "index_to_name.json"
            model_file.write_text(_MODEL_FILES[architecture].format(classes=len(labels)), encoding="utf-8")
            names.write_text(
                json.dumps({str(index): label for index, label in enumerate(labels)}), encoding="utf-8"
            )
            command = [
                *(
                    str(Path(sys.executable).parent / "torch-model-archiver"),
                    "--model-name",
                    self._deployment.name,
                ),
                *("--version", "1.0", "--model-file", str(model_file)),
                *("--serialized-file", str(self._deployment.weights), "--handler", "image_classifier"),
                *("--extra-files", str(names), "--export-path", str(self._store)),
                *("--archive-format", "zip-store"),
            ]
            done = subprocess.run(
                command, env={**os.environ, "TMPDIR": folder}, capture_output=True, text=True, check=False
            )
        if done.returncode != 0:
            raise NotRun(f"torch-model-archiver failed: {' '.join(done.stderr.split())[-200:]}")

    def _configure(self, store: Path) -> tuple[int, Path]:
        settings = {key: str(value).lower() for key, value in self.settings.items()}
        chosen = properties.Properties({**settings, "model_store": str(store)}).on_free_ports()
        config = self._folder / "config.properties"
        chosen.write(config)
        return urlsplit(chosen.inference).port or 0, config

    def _hidden(self) -> Path:
        folder = self._folder / "hidden"
        folder.mkdir()
        (folder / "openvino.py").write_text(_HIDDEN_OPENVINO, encoding="utf-8")
        return folder
