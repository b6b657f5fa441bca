"""The run folder of a project: where its instances, its edge and their sockets are while a server runs."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from visionserve.server.errors import ServerError

if TYPE_CHECKING:
    from visionserve.project import Project

LONGEST_SOCKET = 107  # bytes of a socket's path (unix(7)), its closing zero aside
# The longest path below the folder is that of a socket, `a/management.sock`, and HAProxy adds to its own while it
# opens one (`.12345.tmp`).
_LONGEST = LONGEST_SOCKET - len("/a/management.sock.12345.tmp")
# What runs in it; a person's shell may stand there too.
_PROGRAMS = ("java", "haproxy", "python")
_SHORT, _LINK = "visionserve-", "short"  # the name of a short link's folder, and of what leads from here to it
_ENDED = 5.0  # seconds that a killed process may take to be gone


@dataclass(frozen=True)
class RunFolder:
    """Folders and sockets of one running server.

    Attributes:
        path: The folder itself, or a short link to it.
        link: That link, if there is one.
        held: A descriptor that keeps the link's folder, as long as this process has it.
    """

    path: Path
    link: Path | None = None
    held: int | None = None

    @classmethod
    def make(cls, project: Project) -> RunFolder:
        """An empty folder that only this user can enter; what an earlier server left in it is ended first.

        Raises:
            ServerError: It leads elsewhere.
        """
        path = _own(project)
        clear(project)
        path.mkdir(parents=True, mode=0o700)
        if is_short(path):
            return cls(path)
        link = Path(tempfile.mkdtemp(prefix=_SHORT)) / "run"
        try:
            link.symlink_to(path)
            (path / _LINK).symlink_to(link.parent)
            # What cleans /tmp of old folders leaves alone one that is locked (tmpfiles.d(5)).
            held = os.open(link.parent, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(held, fcntl.LOCK_SH)
        except BaseException:
            shutil.rmtree(link.parent, ignore_errors=True)
            raise
        return cls(link, link, held)

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

    @property
    def to_remove(self) -> list[Path]:
        """The folders to remove when the server is gone: its own, and that of the short link to it."""
        return [self.path.resolve(), *([self.link.parent] if self.link else [])]

    def remove(self) -> None:
        """Remove all of it."""
        if self.held is not None:
            os.close(self.held)
        for path in self.to_remove:
            shutil.rmtree(path, ignore_errors=True)


def is_short(path: Path) -> bool:
    """Whether sockets may lie in a folder; one that is too deep is reached by a link of a new name each time."""
    return len(os.fsencode(path)) <= _LONGEST


def clear(project: Project) -> int:
    """End what a killed server has left in a project's run folder, and remove that; the caller holds the lock.

    Returns:
        How many processes were ended.

    Raises:
        ServerError: The folder leads elsewhere, where nothing is ours to end or to remove.
    """
    path = _own(project)
    ended = _end_strays(path)
    with suppress(OSError):
        short = (path / _LINK).readlink()
        if short.name.startswith(_SHORT) and (short / "run").readlink() == path:
            shutil.rmtree(short, ignore_errors=True)
    shutil.rmtree(path, ignore_errors=True)
    return ended


def _own(project: Project) -> Path:
    if project.run_folder.is_symlink():
        raise ServerError(
            f"{project.run_folder} is a link; its folder is emptied at each start, so remove the link, or link"
            f" {project.run_folder.parent} instead"
        )
    return project.run_folder.resolve()


def _end_strays(folder: Path) -> int:
    """End what still runs in a folder: an earlier server whose supervisor and warden were both killed."""
    ended, end = 0, time.monotonic() + _ENDED
    # Again, for a Java may have started a worker after it was looked for, and before it was ended itself.
    while (strays := _strays(folder)) and time.monotonic() < end:
        for process in strays:
            with suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
        ended += len(psutil.wait_procs(strays, timeout=_ENDED)[0])
    return ended


def _strays(folder: Path) -> list[psutil.Process]:
    """Instances, their workers and HAProxy: they have the folder as their working directory, or one below it."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            ours = process.name().startswith(_PROGRAMS) and process.pid != os.getpid()
            if ours and Path(process.cwd()).is_relative_to(folder):
                found.append(process)
    return found
