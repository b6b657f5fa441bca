"""A process that ends others when the one that started it is gone, be it by SIGKILL.

Java, HAProxy and the workers are in sessions of their own, so that a Ctrl-C reaches the supervisor alone; without
a warden they would go on serving when the supervisor is killed. The warden's standard input is a pipe whose other
end only the supervisor holds, so the kernel closes it whatever ends the supervisor.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

logger = logging.getLogger(__name__)

_CLOSED = 10.0  # seconds within which it ends when it is told to
_AFTER_ERROR = 1.0  # seconds

_GUARD, _RELEASE, _REMOVE, _FORGET = "guard", "release", "remove", "forget"


class Warden:
    """Ends what it guards when this process ends in any way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, str] = {}
        self._again_at = 0.0
        self._start()

    def _start(self) -> None:
        # -I: neither the working directory nor PYTHONPATH decides what is imported; -S: nor what is installed.
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        # From here on no signal but SIGKILL ends it.
        with cast("IO[str]", process.stdout) as said:
            is_ready = bool(said.readline())
        told = cast("IO[str]", process.stdin)
        if not is_ready:
            told.close()
            raise ChildProcessError(f"it ended with code {process.wait()}")
        self._process, self._told = process, told

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def guard_session(self, session: int) -> None:
        """End a session, named by its leader's process id, when this process ends."""
        self._keep(_GUARD, str(session))

    def let_go_session(self, session: int) -> None:
        """Forget a session that has ended."""
        self._let_go(_RELEASE, str(session))

    def guard_folder(self, folder: Path) -> None:
        """Remove a folder when this process ends."""
        self._keep(_REMOVE, str(folder))

    def let_go_folder(self, folder: Path) -> None:
        """Remove a folder no more: it is gone."""
        self._let_go(_FORGET, str(folder))

    def revive(self) -> None:
        """Start it again if it was killed or stopped; it guards what it guarded."""
        if time.monotonic() < self._again_at or self._is_well():
            return
        with self._lock:
            with suppress(BrokenPipeError):
                self._told.close()
            try:
                self._start()
            except OSError as error:
                self._again_at = time.monotonic() + _AFTER_ERROR
                logger.error("the warden was killed, and there is no other: %s", error)
                return
            for what, verb in self._kept.items():
                self._tell(verb, what)
        logger.error("the warden was killed; process %d takes its place", self.pid)

    def _is_well(self) -> bool:
        if self._process.poll() is not None:
            return False
        with suppress(OSError, IndexError):  # the state follows the name, see proc(5)
            if Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
                # It would not see this process end, and be late when it goes on.
                self._process.kill()
                self._process.wait()
                return False
        return True

    def close(self) -> None:
        """End the warden, and with it what it still guards."""
        with suppress(BrokenPipeError):
            self._told.close()
        try:
            self._process.wait(_CLOSED)
        except subprocess.TimeoutExpired:  # it was stopped just now, or a disk hangs
            self._process.kill()
            self._process.wait()

    def _keep(self, verb: str, what: str) -> None:
        with self._lock:
            self._kept[what] = verb
            self._tell(verb, what)

    def _let_go(self, verb: str, what: str) -> None:
        with self._lock:
            self._kept.pop(what, None)
            self._tell(verb, what)

    def _tell(self, verb: str, what: str) -> None:
        # One that was killed is told again when it is revived.
        with suppress(BrokenPipeError, ValueError):
            self._told.write(f"{json.dumps([verb, what])}\n")  # a path may hold a line's end
            self._told.flush()


def follow(lines: Iterable[str] | IO[str], enter: Callable[[str], None]) -> None:
    """The warden's own work: follow what is said until nothing more can be, then end what is guarded.

    Args:
        lines: What is said.
        enter: Called with the first folder, to make it the working directory: there the next server finds a warden
            that was stopped, and ends it before it removes what is not its own any more.
    """
    sessions: set[int] = set()
    folders: set[str] = set()
    for line in lines:
        verb, what = json.loads(line)
        if verb == _GUARD:
            sessions.add(int(what))
        elif verb == _RELEASE:
            sessions.discard(int(what))
        elif verb == _REMOVE:
            if not folders:
                with suppress(OSError):
                    enter(what)
            folders.add(what)
        elif verb == _FORGET:
            folders.discard(what)
    for session in sessions:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(session, signal.SIGKILL)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # only the end of the supervisor ends it
    print("ready", flush=True)  # noqa: T201
    follow(sys.stdin, os.chdir)
