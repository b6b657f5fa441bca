"""Where a project's files are: the folder's own, and for what it lacks those that are installed with us."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# A wheel carries copies of the clone's own files; an editable install has the clone itself.
_CARRIED = Path(__file__).with_name("defaults")
_DEFAULTS = _CARRIED if _CARRIED.is_dir() else Path(__file__).parents[2]

SUFFIX = ".mar"  # of an archive, as TorchServe has it

# What a project's own config.properties leaves open is as this file has it.
DEFAULT_CONFIG = _DEFAULTS / "config.properties"

_HANDLER = Path("handlers") / "image_classifier.py"
_LOCUSTFILE = Path("tests") / "load" / "locustfile.py"


@dataclass(frozen=True)
class Project:
    """A folder with models, weights and archives; an empty one is a project too.

    Attributes:
        root: The folder.
    """

    root: Path = Path()

    @property
    def models(self) -> Path:
        """One YAML file per deployed model."""
        return self.root / "models"

    @property
    def demo(self) -> Path:
        """The YAML files of the demo models."""
        return self.find(Path("models") / "demo")

    @property
    def weights(self) -> Path:
        """Checkpoints, downloaded or one's own."""
        return self.root / "weights"

    @property
    def store(self) -> Path:
        """The archives, as TorchServe's model store."""
        return self.root / "model_store"

    @property
    def logs(self) -> Path:
        """The servers' log files."""
        return self.root / "logs"

    @property
    def reports(self) -> Path:
        """The results of load tests and of the demo."""
        return self.root / "reports"

    @property
    def run_record(self) -> Path:
        """Which server runs for this project."""
        return self.root / ".visionserve" / "server.json"

    @property
    def run_folder(self) -> Path:
        """Where the instances of a running server are; only its user can enter it."""
        return self.root / ".visionserve" / "run"

    @property
    def lock(self) -> Path:
        """Held by the process that runs this project's server."""
        return self.root / ".visionserve" / "server.lock"

    @property
    def ceiling(self) -> Path:
        """What the load generator itself can send on this machine."""
        return self.root / ".visionserve" / "ceiling.json"

    @property
    def config(self) -> Path:
        """How TorchServe itself is run."""
        return self.find(Path("config.properties"))

    @property
    def serving(self) -> Path:
        """How the server is run in production, be it there or not."""
        return self.root / "server.yaml"

    @property
    def handler(self) -> Path:
        """What TorchServe calls; it travels in every archive."""
        return self.find(_HANDLER)

    @property
    def locustfile(self) -> Path:
        """What Locust runs."""
        return self.find(_LOCUSTFILE)

    def model(self, name: str) -> Path:
        """The YAML file of a deployed model, be it there or not."""
        return self.models / f"{name}.yaml"

    def archive(self, name: str) -> Path:
        """The archive of a model, be it there or not."""
        return self.store / f"{name}{SUFFIX}"

    def find(self, path: Path | str) -> Path:
        """A file by its path in the project: the folder's own, else the installed one if there is such a file."""
        own, installed = self.root / path, _DEFAULTS / path
        return own if own.exists() or not installed.exists() else installed
