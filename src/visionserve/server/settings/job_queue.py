"""TorchServe's queue before each model's workers: its own words for what waits in Java."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

from visionserve.runtime import archive

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from visionserve.server.settings.properties import Properties
    from visionserve.server.settings.serving import LimitSettings

_USUAL = 100  # TorchServe's, where neither the archive nor config.properties has one


def size(properties: Properties, mar: Path) -> int:
    """How many requests may wait for a model's workers; those above are refused."""
    configured = int(properties.values.get("job_queue_size", _USUAL))
    own = archive.read_config(zipfile.Path(mar)).get("jobQueueSize")
    return own if isinstance(own, int) and own > 0 else configured


def complaint(properties: Properties, archives: Mapping[str, Path], limits: LimitSettings) -> str | None:
    """A sentence if a queue is not longer than what an instance is given at once, and None if all are."""
    given = limits.concurrent + limits.large
    for name, mar in archives.items():
        waiting = size(properties, mar)
        if waiting <= given:
            return (
                f"{name}: {waiting} requests may wait (jobQueueSize), and an instance is given up to {given} at"
                " once (limits.concurrent in server.yaml, and a quarter more for large ones), so TorchServe"
                f" refuses some that could have waited; write a jobQueueSize above {given} or a smaller concurrent"
            )
    return None
