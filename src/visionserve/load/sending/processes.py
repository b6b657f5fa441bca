"""What the server's processes use while traffic runs: memory, file handles, processor time."""

from __future__ import annotations

import csv
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np
import psutil

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FILE = "processes.csv"
_FIELDS = ("time", "process", "memory", "handles", "cpu")
_LOCAL = ("127.0.0.1", "localhost", "::1")


def find_server(address: str) -> int | None:
    """The process that listens at a URL, if it is on this machine and may be seen."""
    url = urlsplit(address)
    if url.hostname not in _LOCAL:
        return None
    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            port = getattr(connection.laddr, "port", None)
            if connection.status == psutil.CONN_LISTEN and port == url.port:
                return connection.pid
    return None


class Watch:
    """Records a process and its children into a CSV file at intervals, in a thread; use as a context manager.

    Columns: `time` in seconds since the epoch, `process` (`server`, and `worker 1`, ... for its children),
    `memory` resident in bytes, `handles` open file descriptors, `cpu` seconds used so far.

    Args:
        pid: The server's process; without one nothing is recorded.
        path: The file to write.
        interval: Seconds between readings.
    """

    def __init__(self, pid: int | None, path: Path, interval: float = 1.0) -> None:
        self._pid = pid
        self._path = path
        self._interval = interval
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._record, daemon=True)

    def __enter__(self) -> Watch:
        if self._pid is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _record(self) -> None:
        names: dict[int, str] = {}
        with self._path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(_FIELDS)
            while True:
                with suppress(psutil.Error):
                    server = psutil.Process(self._pid)
                    for process in (server, *server.children(recursive=True)):
                        name = names.setdefault(process.pid, f"worker {len(names)}" if names else "server")
                        with suppress(psutil.Error), process.oneshot():
                            spent = process.cpu_times()
                            row = (process.memory_info().rss, process.num_fds(), spent.user + spent.system)
                            writer.writerow((f"{time.time():.3f}", name, *row))
                file.flush()
                if self._over.wait(self._interval):
                    return


def read(path: Path) -> dict[str, NDArray[np.float64]]:
    """What `Watch` recorded: for each process an array `[readings, 4]` of time, memory, handles and cpu."""
    if not path.exists():
        return {}
    rows: dict[str, list[tuple[float, ...]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            with suppress(TypeError, ValueError):
                reading = tuple(float(row[field]) for field in _FIELDS if field != "process")
                rows.setdefault(row["process"], []).append(reading)
    return {name: np.array(readings) for name, readings in rows.items()}
