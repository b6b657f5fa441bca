"""HAProxy's process: its folder, its start, its reload, its end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from visionserve.runtime.machine import cores
from visionserve.server import private_file
from visionserve.server.edge import commands, configuration, control, haproxy, log
from visionserve.server.edge.access import rates
from visionserve.server.edge.access.credentials import CERTIFICATE, Credentials
from visionserve.server.edge.control import Control
from visionserve.server.errors import ServerError, writing
from visionserve.server.host import process_state
from visionserve.server.run import folder as run_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from visionserve.server.edge.configuration import Slot
    from visionserve.server.edge.haproxy import HAProxy
    from visionserve.server.run.warden import Warden
    from visionserve.server.settings.serving import Serving

_CONFIGURATION = "haproxy.cfg"

_START_SECONDS = 10.0
# A request that a client just sent is answered within it.
_END_SECONDS = 1.0
_KILL_SECONDS = 5.0
_POLL = 0.02  # seconds


class HAProxyProcess:
    """A running HAProxy. No slot takes requests until `control` says so.

    Args:
        haproxy: The executable.
        settings: How to serve; nothing in it may be left open, see `Serving.completed`.
        slots: All there are.
        folder: Its private folder; made if it is not there.
        logs: The folder for its log file.
        metadata: For `MODEL` or `MODEL/VERSION` the file that describes it in the Open Inference Protocol's words.
        warden: What ends HAProxy when this process is gone.
        facts: What the one before was told of all instances; see `Control`.

    Attributes:
        control: What it is told while it runs.
        own: A Unix socket on which the server itself asks, without a key.

    Raises:
        ServerError: HAProxy does not start: its address is taken, or the certificate is none. The message is its.
    """

    def __init__(
        self,
        haproxy: HAProxy,
        settings: Serving,
        slots: Sequence[Slot],
        folder: Path,
        logs: Path,
        metadata: Mapping[str, Path] | None = None,
        warden: Warden | None = None,
        facts: Mapping[str, int] | None = None,
    ) -> None:
        self._haproxy = haproxy
        self._warden = warden
        self._settings = settings
        self._slots = slots
        self._metadata = metadata or {}
        self._folder = folder.absolute()  # a short link stays short
        for name in (control.MASTER, control.WORKER, control.OWN):
            if len(os.fsencode(self._folder / name)) > run_folder.LONGEST_SOCKET:
                raise ServerError(
                    f"{self._folder} is too long a path: its sockets must fit {run_folder.LONGEST_SOCKET} bytes"
                )
        self._folder.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        for name in (control.MASTER, control.WORKER, control.OWN):
            (self._folder / name).unlink(missing_ok=True)
        self.own = self._folder / control.OWN
        self.control = Control(self._folder, [slot.name for slot in slots], facts)
        self._credentials = Credentials(settings, self._folder)
        self._prepare(strict=False)
        self._log = log.BoundedLog(logs / "edge.log")
        self._is_ended = False
        self._workers: list[int] = []
        try:
            self._process = self._start()
        except BaseException:
            self._log.close()
            raise

    @property
    def pid(self) -> int:
        """The process id of HAProxy's master, which leads a session of its own."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether HAProxy runs. When one of its workers dies, all of it ends."""
        return self._process.poll() is None

    @property
    def is_stopped(self) -> bool:
        """Whether a signal has stopped it (SIGSTOP), or the worker that takes connections."""
        return any(map(process_state.is_stopped, (self.pid, *self._workers)))

    @property
    def trouble(self) -> str:
        """What is wrong with keys or certificate whose content of before is used; empty if nothing is."""
        return self._credentials.trouble

    def reload(self, metadata: Mapping[str, Path] | None = None, *, strict: bool = True) -> None:
        """Read certificate and keys anew, and take other metadata if they are given. No request is lost.

        Args:
            metadata: As at the start.
            strict: Whether bad keys, or a bad certificate, are an error; if not, those of before stay, and
                `trouble` says so.

        Raises:
            ServerError: HAProxy refuses what it would have to read; it goes on as before.
        """
        before, self._metadata = self._metadata, metadata or self._metadata
        saved = private_file.contents(self._folder, (_CONFIGURATION, CERTIFICATE, control.KEYS))
        try:
            old, counts = self.control.workers(), rates.read(self._folder / control.WORKER)
            self._prepare(strict=strict)
            self.control.before_reload()
            if self._settings.keys is not None:  # last, for nothing that fails later takes them back
                self.control.take_keys()
        except BaseException:
            self._metadata = before
            private_file.restore(saved)
            with contextlib.suppress(ServerError):  # it is told again when it answers
                self.control.apply()
            raise
        # From here on nothing is taken back: one that is slow takes it later, and is told all then.
        os.kill(self.pid, signal.SIGUSR2)
        self._wait(lambda: self._replaced(old), "it did not take the new configuration")
        self._workers = self.control.workers()
        self.control.apply()
        if self._settings.keys is not None and self._settings.keys.requests_per_second:
            rates.write(self._folder / control.WORKER, counts)

    def end(self) -> None:
        """Take no more connections, give those that are there a moment to be answered on, and end."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGUSR1)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End at once."""
        if self._is_ended:  # another process may have its number by now
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_KILL_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_KILL_SECONDS)
        self._is_ended = True
        if self._warden is not None:
            self._warden.let_go_session(self.pid)
        self._log.close()

    def _prepare(self, *, strict: bool) -> None:
        """Write all that HAProxy reads, and have it checked."""
        with writing(self._folder):
            self.control.write_maps(self._credentials.give(strict=strict))
            self._write_configuration()
            refused = haproxy.complaint(self._haproxy, self._folder, _CONFIGURATION)
            if refused and self._credentials.take_back(refused) and not strict:
                refused = haproxy.complaint(self._haproxy, self._folder, _CONFIGURATION)
        if refused:
            raise ServerError(f"HAProxy refuses its configuration: {refused}")

    def _write_configuration(self) -> None:
        text = configuration.render(
            self._settings,
            self._slots,
            metadata={name: path.resolve() for name, path in self._metadata.items()},
            up=[name for name, state in self.control.states.items() if state == "up"],
            cores=cores.available(),
        )
        private_file.write(self._folder / _CONFIGURATION, text.encode())

    def _start(self) -> subprocess.Popen[bytes]:
        # Relative names: a map's may hold no comma, and the folder's may.
        process = subprocess.Popen(
            [self._haproxy.path, "-W", "-S", f"unix@{control.MASTER},mode,600", "-f", _CONFIGURATION],
            cwd=self._folder,
            env=haproxy.environment(),
            stdin=subprocess.DEVNULL,
            stdout=self._log.descriptor,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._process = process
        if self._warden is not None:
            self._warden.guard_session(process.pid)
        try:
            self._wait(self._answers, "it does not answer")
            self._workers = self.control.workers()
        except BaseException:
            self.kill()
            raise
        return process

    def _answers(self) -> bool:
        with contextlib.suppress(ServerError):
            return bool(self.control.workers()) and "Pid:" in commands.ask(
                self._folder / control.WORKER, "show info"
            )
        return False

    def _replaced(self, old: Sequence[int]) -> bool:
        """Whether other workers than these take connections and commands."""
        with contextlib.suppress(ServerError):
            current = self.control.workers()
            said = commands.ask(self._folder / control.WORKER, "show info")
            return (
                bool(current) and not set(current) & set(old) and any(f"Pid: {pid}\n" in said for pid in current)
            )
        return False

    def _wait(self, done: Callable[[], bool], failure: str) -> None:
        end = time.monotonic() + _START_SECONDS
        while not done():
            if not self.alive:
                raise ServerError(f"HAProxy ended with code {self._process.returncode}: {self._log.cause()}")
            if time.monotonic() > end:
                raise ServerError(f"HAProxy runs, but {failure}: {self._log.cause()}")
            time.sleep(_POLL)
