"""Workers take turns at the cores, so that one computes while another reads, decodes and answers.

TorchServe gives a worker its next batch only when it has answered the last one. With a single worker the cores
idle between batches; with two that each use every core, both compute at once and wait for each other at every
layer. Two that take turns keep the cores busy, and a lone request still gets all of them.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType


@cache
def shared(slots: int) -> Turns:
    """This process's handle on the turns that all workers of its server share."""
    return Turns(slots)


class Turns:
    """A lock that some of this machine's processes may hold at once; a context manager.

    The kernel releases it when its holder dies. All workers with the same temporary folder share it: those of
    one server, whatever their models.

    Args:
        slots: How many processes may compute at once.
        folder: Where its files lie.
    """

    def __init__(self, slots: int, folder: Path | None = None) -> None:
        folder = folder or Path(tempfile.gettempdir())
        names = [f"visionserve-turn-{os.getuid()}-{slot}-of-{slots}" for slot in range(slots)]
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._files = [os.open(folder / name, flags, 0o600) for name in names]
        self._held: int | None = None

    def __enter__(self) -> None:
        for file in self._files:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            self._held = file
            return
        # All are taken: wait for one, different processes for different ones.
        file = self._files[os.getpid() % len(self._files)]
        fcntl.flock(file, fcntl.LOCK_EX)
        self._held = file

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._held is not None:
            fcntl.flock(self._held, fcntl.LOCK_UN)
            self._held = None
