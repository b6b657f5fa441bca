"""Whether there is room for a second instance beside the first."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from visionserve.server.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROOM = 1.1  # of an instance's memory, for another one
_MEGABYTE = 1 << 20
_CGROUP_V2 = Path("/sys/fs/cgroup")
_CGROUP_V1 = Path("/sys/fs/cgroup/memory")


def require_room(instances: Sequence[int]) -> None:
    """Refuse to start an instance that has no room beside these.

    Args:
        instances: The process ids of their Javas.

    Raises:
        ServerError: The largest of them once more is more than is free.
    """
    needed = max(map(taken, instances), default=0) * _ROOM
    if needed > free():
        raise ServerError(
            f"a second instance needs {needed / _MEGABYTE:,.0f} MB, and {free() / _MEGABYTE:,.0f} MB are free:"
            " 'visionserve reload --gap' ends the old one first, and answers 503 meanwhile"
        )


def taken(pid: int) -> int:
    """The bytes that a process and all below it have for themselves."""
    found = 0
    with suppress(psutil.Error):
        leader = psutil.Process(pid)
        for process in [leader, *leader.children(recursive=True)]:
            with suppress(psutil.Error):
                found += process.memory_full_info().uss
    return found


def free() -> int:
    """The bytes that can be had, here or within the container's limit.

    The limits are `memory.max` of cgroup v2 and `memory.limit_in_bytes` of v1. What counts against them includes
    pages of files that were read; those not in use are given back when they are needed
    (https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files).
    """
    available = int(psutil.virtual_memory().available)
    for folder, limit, current, cached in (
        (_CGROUP_V2, "memory.max", "memory.current", "inactive_file"),
        (_CGROUP_V1, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        with suppress(OSError, ValueError):  # there is none, or it says `max`
            used = int((folder / current).read_text())
            available = min(available, int((folder / limit).read_text()) - used + _figure(folder, cached))
    return max(0, available)


def _figure(folder: Path, name: str) -> int:
    """A line of a cgroup's `memory.stat`, in bytes; 0 if it has none."""
    with suppress(OSError, ValueError):
        for line in (folder / "memory.stat").read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    return 0
