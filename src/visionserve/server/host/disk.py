"""Whether there is room on the disks that a server writes to."""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_LEAST = 1 << 20  # bytes: below that an instance finds no room for its own files, and logs end


def complaint(folders: Iterable[Path]) -> str:
    """The first folder without room, in a sentence; empty if all have some.

    What is served goes on without room: only logs, and instances that are to be started, need it.
    """
    for folder in folders:
        with suppress(OSError):
            if shutil.disk_usage(folder).free < _LEAST:
                return f"{folder} has no room left: nothing can be logged or started there"
    return ""
