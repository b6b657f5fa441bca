"""What the supervisor says of itself to whoever asks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, kw_only=True)
class Status:
    """What it does, and what has happened since its start.

    Attributes:
        is_ready: Whether every model is proven and all workers are there.
        is_draining: Whether it was asked to end, and answers what it has accepted.
        trouble: Why it has fewer instances than it should, what is wrong with those it has, no room on a disk, an
            edge that does not answer, or other keys or another certificate than their files hold; empty if all is
            well.
        instances: The management address of each instance that serves, by the name of its slot.
        workers_restarted: How often TorchServe has started a worker again, in the instances that serve.
        replaced: How often an instance was found to be of no use, for each reason.
        reloads: How often other archives were taken.
        edge_restarts: How often HAProxy ended, or did not answer, and was started again.
        changed: The settings' files that are not what they were when it started, which is what counts.
    """

    is_ready: bool
    is_draining: bool
    trouble: str
    instances: Mapping[str, str]
    workers_restarted: int
    replaced: Mapping[str, int]
    reloads: int
    edge_restarts: int
    changed: Sequence[str]

    @property
    def stale(self) -> str:
        """That settings were changed since the start, in a sentence; empty if none were."""
        if not self.changed:
            return ""
        one = len(self.changed) == 1
        return (
            f"{' and '.join(self.changed)} {'has' if one else 'have'} been changed since this server started;"
            f" {'it counts' if one else 'they count'} at the next start"
        )

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Status:
        """A status from the document that `write` made of it."""
        return cls(**document)

    def write(self) -> dict[str, Any]:
        """The status as a JSON document."""
        return asdict(self)
