"""How instances are started, whichever slot they are in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from visionserve.server.instance.launcher import TorchServe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from visionserve.server.run.folder import RunFolder
    from visionserve.server.run.warden import Warden
    from visionserve.server.settings.properties import Properties


@dataclass(frozen=True)
class Setup:
    """How an instance is started, whichever slot it is in.

    Attributes:
        folder: The run folder.
        logs: The folder below which each slot has its log files.
        properties: How a TorchServe is run.
        environment: Variables that it and its workers are to see beside those that tune them.
        warden: What ends it when this process is killed.
        timeout: Seconds that its models may take to become ready.
        answer_seconds: The longest that one of them may take for an answer.
        count: How many of them serve at once, and share the cores.
    """

    folder: RunFolder
    logs: Path
    properties: Properties
    environment: Sequence[str]
    warden: Warden
    timeout: float
    answer_seconds: float
    count: int

    def start(self, slot: str, archives: Mapping[str, Path]) -> TorchServe:
        """Start a TorchServe in a slot.

        Raises:
            ServerError: It cannot be had.
        """
        folder = self.folder.slot(slot)
        return TorchServe(
            archives,
            self.properties.on_sockets(folder),
            self.logs / slot,
            folder=folder,
            warden=self.warden,
            variables=self.environment,
            instances=self.count,
        )
