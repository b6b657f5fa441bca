"""How a server is, put together for whoever asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visionserve.server.host import disk
from visionserve.server.orders.status import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from visionserve.server.supervision.front import Front
    from visionserve.server.supervision.instances import Instances
    from visionserve.server.supervision.replicas import Replicas


def of(
    front: Front,
    instances: Instances,
    replicas: Replicas,
    folders: Iterable[Path],
    *,
    changed: Sequence[str],
    is_draining: bool,
    reloads: int,
) -> Status:
    """What these do, and what has happened since the start.

    Args:
        front: The edge.
        instances: Those that serve.
        replicas: What keeps them.
        folders: What is written to while they run.
        changed: The settings' files that were changed since the start.
        is_draining: Whether the server was asked to end.
        reloads: How often other archives were taken.
    """
    # A full disk first: what TorchServe says when it finds no room is not that.
    troubles = disk.complaint(folders), replicas.trouble, front.trouble
    return Status(
        is_ready=front.is_ready and not is_draining,
        is_draining=is_draining,
        trouble="; ".join(filter(None, troubles)),
        instances={each.slot.name: each.server.properties.management for each in instances},
        workers_restarted=sum(each.watch.restarted for each in instances),
        replaced=dict(replicas.causes),
        reloads=reloads,
        edge_restarts=front.restarts,
        changed=changed,
    )
