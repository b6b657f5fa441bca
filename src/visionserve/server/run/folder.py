"""The run folder of a project: where its instances, its edge and their sockets are while a server runs."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from visionserve.project import Project

LONGEST_SOCKET = 107  # bytes of a socket's path (unix(7)), its closing zero aside
# The longest path below the folder is that of a socket, `a/management.sock`, and HAProxy adds to its own while it
# opens one (`.12345.tmp`).
_LONGEST = LONGEST_SOCKET - len("/a/management.sock.12345.tmp")
# What runs in it; a person's shell may stand there too.
_PROGRAMS = ("java", "haproxy", "python")
_ENDED = 5.0  # seconds that a killed process may take to be gone


@dataclass(frozen=True)
class RunFolder:
    """Folders and sockets of one running server.

    Attributes:
        path: The folder itself, or a short link to it.
        link: That link, if there is one.
    """

    path: Path
    link: Path | None = None

    @classmethod
    def make(cls, project: Project) -> RunFolder:
        """An empty folder that only this user can enter; what an earlier server left in it is ended first."""
        path = project.run_folder.resolve()
        _end_strays(path)
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True, mode=0o700)
        if is_short(path):
            return cls(path)
        link = Path(tempfile.mkdtemp(prefix="visionserve-")) / "run"
        link.symlink_to(path)
        return cls(link, link)

    def slot(self, name: str) -> Path:
        """The folder of the instance in a slot."""
        return self.path / name

    @property
    def edge(self) -> Path:
        """The folder of HAProxy."""
        return self.path / "edge"

    @property
    def orders(self) -> Path:
        """The socket on which the supervisor is told what to do."""
        return self.path / "orders.sock"

    def remove(self) -> None:
        """Remove all of it."""
        shutil.rmtree(self.path.resolve(), ignore_errors=True)
        if self.link is not None:
            shutil.rmtree(self.link.parent, ignore_errors=True)


def is_short(path: Path) -> bool:
    """Whether sockets may lie in a folder; one that is too deep is reached by a link of a new name each time."""
    return len(os.fsencode(path)) <= _LONGEST


def _end_strays(folder: Path) -> None:
    """End what still runs in a folder: an earlier server whose supervisor and warden were both killed.

    Instances, their workers and HAProxy have it as their working directory, or one below it.
    """
    strays = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            ours = process.name().startswith(_PROGRAMS) and process.pid != os.getpid()
            if ours and Path(process.cwd()).is_relative_to(folder):
                strays.append(process)
    for process in strays:
        with suppress(psutil.Error):
            process.send_signal(signal.SIGKILL)
    psutil.wait_procs(strays, timeout=_ENDED)
