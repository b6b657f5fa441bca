"""Where a supervised server's parts are, and the edge's settings with nothing left open."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from visionserve.runtime.archive import read_identity
from visionserve.server.edge.configuration import Slot

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from visionserve.project import Project
    from visionserve.server.run.folder import RunFolder
    from visionserve.server.settings.properties import Properties
    from visionserve.server.settings.serving import Serving


def slots(folder: RunFolder, settings: Serving) -> list[Slot]:
    """A place for each instance, and one more, so that a new instance can take another's place."""
    names = [chr(ord("a") + index) for index in range(settings.instances + 1)]
    return [Slot(name, folder.slot(name) / "inference.sock") for name in names]


def completed(settings: Serving, project: Project, properties: Properties) -> Serving:
    """`server.yaml` with what it leaves open as config.properties has it."""
    return settings.completed(
        project.root,
        address=urlsplit(properties.inference).netloc,
        body=properties.max_request_size,
    )


def metadata(folder: RunFolder) -> Path:
    """The folder of what clients are told of each model."""
    return folder.path / "metadata"


def versions(archives: Mapping[str, Path]) -> dict[str, str]:
    """The version of each model, as its archive says."""
    return {name: read_identity(zipfile.Path(path)).version for name, path in archives.items()}
