"""What TorchServe and HAProxy would be run with, for people to read before they start them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visionserve.runtime.machine import cores
from visionserve.server.edge import configuration, metadata
from visionserve.server.edge.access import credentials
from visionserve.server.run import folder as run_folder
from visionserve.server.run.folder import RunFolder
from visionserve.server.settings import heap, safety
from visionserve.server.settings.properties import Properties
from visionserve.server.supervision import layout

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from visionserve.project import Project
    from visionserve.server.settings.serving import Serving


def text(project: Project, settings: Serving | None, archives: Mapping[str, Path]) -> str:
    """Both configurations as they would be written, one below the other; what would be refused is refused.

    Args:
        project: The project.
        settings: `server.yaml`; None for TorchServe alone.
        archives: The .mar file of each model that would be served.

    Raises:
        ServerError: config.properties, keys or certificate cannot be read, or hold something that they must not.
    """
    properties = Properties.read(project.config)
    safety.require_closed(properties)
    heap.require_room(properties, archives)
    if settings is None:
        return f"# TorchServe\n{_torchserve(properties, project.store.parent)}"
    folder = RunFolder(project.run_folder.resolve())
    slots = layout.slots(folder, settings)
    first = folder.slot(slots[0].name)
    whole = layout.completed(settings, project, properties)
    credentials.require_readable(whole)
    edge = configuration.render(
        whole,
        slots,
        metadata=metadata.names(layout.metadata(folder), layout.versions(archives)),
        cores=cores.available(),
    )
    torchserve = _torchserve(properties.on_sockets(first), first)
    deep = "" if run_folder.is_short(folder.path) else f"# {folder.path} is reached by a short link below\n"
    return f"{deep}# TorchServe, in slot {slots[0].name}\n{torchserve}\n# HAProxy\n{edge}"


def _torchserve(properties: Properties, folder: Path) -> str:
    return properties.for_instance(folder / "model_store", folder / "workflows").render(hide_secrets=True)
