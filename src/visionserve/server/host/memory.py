"""The memory that there is here, or within the container's limit, and whether one more instance has room in it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psutil

from visionserve.server.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROOM = 1.1  # of an instance's memory, for another one
_MEGABYTE = 1 << 20


class _Group(NamedTuple):
    """Where a version of cgroups says what a group may have and has, in bytes.

    https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files and
    https://docs.kernel.org/admin-guide/cgroup-v1/memory.html
    """

    root: Path
    limit: str
    used: str
    unused_pages: str


_V2 = _Group(Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file")
_V1 = _Group(
    Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
)
_MINE = Path("/proc/self/cgroup")


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
            f"one more instance needs {needed / _MEGABYTE:,.0f} MB, and {free() / _MEGABYTE:,.0f} MB are free:"
            " 'visionserve reload --gap' ends an old one before its new one starts; where it is the only one,"
            " requests get 503 meanwhile"
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


def total() -> int:
    """The bytes that there are, here or within the limits of this process's groups."""
    limits = [limit for kind, folder in _groups() if (limit := _number(folder / kind.limit)) is not None]
    return min([int(psutil.virtual_memory().total), *limits])


def free() -> int:
    """The bytes that can be had, here or within the limits of this process's groups.

    What counts against a limit includes pages of files that were read; those not in use are given back when they
    are needed.
    """
    available = int(psutil.virtual_memory().available)
    for kind, folder in _groups():
        limit, used = _number(folder / kind.limit), _number(folder / kind.used)
        if limit is not None and used is not None:
            given_back = _statistic(folder / "memory.stat", kind.unused_pages)
            available = min(available, limit - used + given_back)
    return max(0, available)


def _groups() -> list[tuple[_Group, Path]]:
    """This process's groups and those above them: a service manager limits one, a container the topmost."""
    found = [(_V2, _V2.root), (_V1, _V1.root)]
    with suppress(OSError):
        for line in _MINE.read_text(encoding="utf-8").splitlines():
            number, controllers, path = line.split(":", 2)
            kind = _V2 if number == "0" else _V1 if "memory" in controllers.split(",") else None
            parts = Path(path).parts[1:]
            if kind is not None and ".." not in parts:
                found += [(kind, kind.root.joinpath(*parts[:depth])) for depth in range(1, len(parts) + 1)]
    return found


def _number(path: Path) -> int | None:
    """A file's number; None where there is no such file, or it says `max`."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _statistic(path: Path, name: str) -> int:
    """A line's number, 0 if there is no such line."""
    with suppress(OSError, ValueError):
        for line in path.read_text(encoding="ascii").splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    return 0
