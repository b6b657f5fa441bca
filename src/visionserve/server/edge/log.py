"""HAProxy's log file, which never grows beyond a bound."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_LARGEST = 16 << 20  # bytes
_KEPT = 3  # files beside the one that is written
_EVERY = 1.0  # seconds
_TAIL = 4096  # bytes

# What it says beside a cause.
_NO_CAUSE = re.compile(r"Fatal errors|Error\(s\) found|Current worker|Some protocols failed|no such ACL")


class BoundedLog:
    """A file that another process appends to; when it is large it is copied aside and emptied.

    Lines written between the copy and the emptying are lost.

    Args:
        path: The file; its folder is made.
        largest: The size in bytes at which it is emptied.

    Attributes:
        descriptor: What the other process writes to.
    """

    def __init__(self, path: Path, largest: int = _LARGEST) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._largest = largest
        # Appending, the other process goes on at the start of an emptied file.
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._began = os.fstat(self.descriptor).st_size
        self._closed = threading.Event()
        self._watch = threading.Thread(target=self._bound, name="edge log", daemon=True)
        self._watch.start()

    def close(self) -> None:
        """Watch it no longer."""
        if not self._closed.is_set():
            self._closed.set()
            self._watch.join()
            os.close(self.descriptor)

    def cause(self) -> str:
        """The last complaint in what was written since it was opened."""
        size = os.fstat(self.descriptor).st_size
        start = max(self._began if self._began <= size else 0, size - _TAIL)
        return cause(os.pread(self.descriptor, _TAIL, start).decode("utf-8", "replace"))

    def rotate(self) -> None:
        """Copy it aside and empty it."""
        for number in range(_KEPT, 1, -1):
            with contextlib.suppress(OSError):
                self._aside(number - 1).replace(self._aside(number))
        # A full disk: then it is emptied all the more.
        with contextlib.suppress(OSError), os.fdopen(os.dup(self.descriptor), "rb") as log:
            log.seek(0)
            with self._aside(1).open("wb") as aside:
                shutil.copyfileobj(log, aside)
        os.ftruncate(self.descriptor, 0)
        self._began = 0

    def _aside(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _bound(self) -> None:
        while not self._closed.wait(_EVERY):
            with contextlib.suppress(OSError):  # it goes on, and is looked at again
                if os.fstat(self.descriptor).st_size > self._largest:
                    self.rotate()


def cause(said: str) -> str:
    """What HAProxy complains of, in one line."""
    complaints = re.findall(r"^\[ALERT\]\s*\(\d+\) : (?:config : )?(.*)$", said, re.MULTILINE)
    told = [line for line in complaints if not _NO_CAUSE.search(line)]
    return "; ".join(told[:3]) or " ".join(said.split())[-200:] or "it said nothing"
