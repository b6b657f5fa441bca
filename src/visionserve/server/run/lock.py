"""Who runs a project's server: the process that holds a lock, which the kernel lets go of whatever ends it."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from visionserve.server.errors import ServerError, writing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_POLL = 0.05  # seconds
_ASKED = 0.5  # seconds for which others may hold it, only to see whether it is free
_WRITTEN = 1.0  # seconds within which whoever has the lock has written its process id


@contextmanager
def held(path: Path, pid: int) -> Iterator[None]:
    """Hold the lock while the context lasts.

    Args:
        path: The lock's file.
        pid: This process's id, for others to find it by.

    Raises:
        ServerError: Another process holds it, or it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        end = time.monotonic() + _ASKED
        while not _take(file, fcntl.LOCK_EX):
            if time.monotonic() < end:
                time.sleep(_POLL)
                continue
            raise ServerError(f"another server is starting or running here (process {holder(path) or 'unknown'})")
        file.truncate(0)
        with writing(path):
            os.write(file.fileno(), str(pid).encode())  # what stays in a buffer would fail again when it is closed
        yield
        file.truncate(0)


def holder(path: Path) -> int | None:
    """The process id of whoever holds the lock; None if nobody does."""
    end = time.monotonic() + _WRITTEN
    while time.monotonic() < end:
        try:
            with path.open("r", encoding="utf-8") as file:
                if _take(file, fcntl.LOCK_SH):
                    return None
                file.seek(0)
                text = file.read()
        except FileNotFoundError:
            return None
        with suppress(ValueError):
            return int(text)
        time.sleep(_POLL)
    return None


def wait_until_free(path: Path, seconds: float) -> bool:
    """Whether the lock is let go of within so many seconds."""
    end = time.monotonic() + seconds
    while holder(path) is not None:
        if time.monotonic() > end:
            return False
        time.sleep(_POLL)
    return True


def _take(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
