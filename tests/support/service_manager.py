"""A service manager, which hears what a server tells it, and when."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


class ServiceManager:
    """Listens while the context lasts.

    Args:
        path: Where servers find it: `NOTIFY_SOCKET` of their environment.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._told: list[tuple[float, str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._thread = threading.Thread(target=self._hear)

    def __enter__(self) -> ServiceManager:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"", str(self.path))
        self._thread.join()
        self._socket.close()

    def _hear(self) -> None:
        while told := self._socket.recv(1000):
            self._told += [(time.monotonic(), state) for state in told.decode().splitlines()]

    def times(self, state: str) -> list[float]:
        """When it was told that."""
        return [at for at, told in list(self._told) if told == state]

    def wait_for(self, state: str, since: float, timeout: float = 30.0) -> None:
        """Wait until it is told that after a moment of the monotonic clock."""
        end = time.monotonic() + timeout
        while not any(at > since for at in self.times(state)):
            assert time.monotonic() < end, f"{state} was not told: {self._told}"
            time.sleep(0.02)
