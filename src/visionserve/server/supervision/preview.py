"""What TorchServe and HAProxy would be run with, for people to read before they start them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visionserve.server.edge import configuration
from visionserve.server.run.folder import RunFolder
from visionserve.server.settings.properties import Properties
from visionserve.server.supervision import layout

if TYPE_CHECKING:
    from pathlib import Path

    from visionserve.project import Project
    from visionserve.server.settings.serving import Serving


def text(project: Project, settings: Serving | None) -> str:
    """Both configurations, one below the other.

    Args:
        project: The project.
        settings: `server.yaml`; None for TorchServe alone.

    Raises:
        ServerError: config.properties cannot be read, or holds something that it must not.
    """
    properties = Properties.read(project.config)
    if settings is None:
        return f"# TorchServe\n{_torchserve(properties, project.store.parent)}"
    folder = RunFolder(project.run_folder.resolve())
    slots = layout.slots(folder, settings)
    first = folder.slot(slots[0].name)
    edge = configuration.render(layout.completed(settings, project, properties), slots)
    torchserve = _torchserve(properties.on_sockets(first), first)
    return f"# TorchServe, in slot {slots[0].name}\n{torchserve}\n# HAProxy\n{edge}"


def _torchserve(properties: Properties, folder: Path) -> str:
    return properties.for_instance(folder / "model_store", folder / "workflows").render(hide_secrets=True)
