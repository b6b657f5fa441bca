"""The models of a project: one YAML file each under `models/`, the demo ones under `models/demo/`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from visionserve.archiver.models.spec import ModelSpec
from visionserve.project import Project
from visionserve.runtime.errors import SpecError

if TYPE_CHECKING:
    from pathlib import Path


def names(root: Path) -> list[str]:
    """The deployed models of the project at `root`, sorted; demo models are not among them."""
    return sorted(path.stem for path in Project(root).models.glob("*.yaml"))


def exists(root: Path, name: str) -> bool:
    """Whether there is a YAML file of a model, deployed or demo."""
    project = Project(root)
    return project.model(name).is_file() or (project.demo / f"{name}.yaml").is_file()


def demo_names(root: Path) -> list[str]:
    """The demo models of the project at `root`, sorted."""
    return sorted(path.stem for path in Project(root).demo.glob("*.yaml"))


def find(root: Path, name: str) -> Path:
    """The YAML file of a model, deployed or demo.

    Raises:
        SpecError: There is none; the message lists those there are.
    """
    project = Project(root)
    for path in (project.model(name), project.demo / f"{name}.yaml"):
        if path.is_file():
            return path
    known = names(root) + demo_names(root)
    raise SpecError(
        f"no model '{name}': models/{name}.yaml does not exist; there are {', '.join(known) or 'none'}"
    )


def is_demo(root: Path, path: Path) -> bool:
    """Whether a model's YAML lies among the demo models, whose weights are made rather than found."""
    return path.parent == Project(root).demo


def read(path: Path) -> ModelSpec:
    """The model that a YAML file describes, named after the file.

    Raises:
        SpecError: The file is not YAML, or not a valid model.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise SpecError(f"{path}: holds no keys; it needs at least 'handler: {{architecture: ...}}'")
    return ModelSpec.from_mapping(path.stem, document, str(path))
