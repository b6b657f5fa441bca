"""visionserve itself: the archive a user would build, run as `make serve` runs it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import process
from benchmarks.errors import NotRun
from visionserve.client import Client
from visionserve.project import Project
from visionserve.runtime.errors import VisionserveError
from visionserve.server.instance import health
from visionserve.server.instance.launcher import TorchServe
from visionserve.server.settings import properties

if TYPE_CHECKING:
    from benchmarks.deployment import Deployment
    from benchmarks.traffic import Form

_START_TIMEOUT = 300.0  # seconds


class Visionserve:
    """visionserve at one precision.

    Args:
        deployment: The model.
        variant: One of `deployment.VARIANTS`.
    """

    def __init__(self, deployment: Deployment, variant: str) -> None:
        self._deployment = deployment
        self._variant = variant
        self.name = f"visionserve-{variant}"
        self.title = f"visionserve, {variant}"
        self.what = (
            "models/demo's YAML with these settings in its handler section, the repository's config.properties,"
            " `make serve`'s launcher"
        )
        self.settings: dict[str, object] = deployment.handler_settings(variant)
        self.target = f"/predictions/{deployment.variant_name(variant)}"
        self.form: Form = "body"

    def prepare(self) -> None:
        """See `Server.prepare`."""
        self._deployment.archive(self._variant)

    def start(self) -> None:
        """See `Server.start`."""
        mar = self._deployment.archive(self._variant)
        root = self._deployment.root
        settings = properties.Properties.read(Project(root).config).on_free_ports()
        self._folder = Path(tempfile.mkdtemp(prefix="ours-"))
        self.port = int(settings.inference.rsplit(":", 1)[1])
        try:
            self._server = TorchServe({mar.stem: mar}, settings, self._folder / "logs")
            for _ in health.wait_until_ready(self._server, _START_TIMEOUT):
                pass
            with Client(settings.inference, settings.management) as client:
                described = client.description(mar.stem)
                self.settings["chosen"] = f"{described['engine']} in {described['precision']}"
        except VisionserveError as error:
            raise NotRun(str(error)) from error

    @property
    def tree(self) -> process.Tree:
        """See `Server.tree`."""
        return process.Tree(self._server.process.pid)

    def stop(self) -> None:
        """See `Server.stop`."""
        if hasattr(self, "_server"):
            self._server.stop()
        if hasattr(self, "_folder"):
            shutil.rmtree(self._folder, ignore_errors=True)
