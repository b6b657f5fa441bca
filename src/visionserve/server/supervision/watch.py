"""What is wrong with one instance: found by asking it, again and again, what it must know.

TorchServe restarts a worker that dies, after ever longer pauses, and gives up after a while without saying so. It
does not see one that is stopped, or one that answers wrongly; and Java itself can be stopped too.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from visionserve.calls import Refused, Unreachable
from visionserve.client import Client
from visionserve.server.errors import Busy, ServerError, WrongAnswer
from visionserve.server.host import process_state
from visionserve.server.instance import health
from visionserve.server.instance.question import Question

if TYPE_CHECKING:
    from visionserve.server.instance.launcher import TorchServe

logger = logging.getLogger(__name__)

_EVERY = 0.5  # seconds between two looks at the workers
_PROVEN_EVERY = 10.0  # seconds between two golden pictures for each model
# A worker loads within seconds; TorchServe waits 1, 1, 2, 3, 5 ... seconds before it starts one again.
_LACKING = 60.0  # seconds for which a model may lack workers
_CRASHES, _CRASHING = 5, 60.0  # so many new workers of a model within so many seconds are a crash loop
_ANSWERED = 5.0  # seconds that TorchServe may take to say how its workers are
_SILENT = 3  # so many looks in a row without an answer, and it is given up
_BUSY = 60.0  # seconds for which it may refuse golden pictures because too much waits before them
_FAILED, _AFTER_FAILURE = 3, 10.0  # so many looks in a row that fail themselves, so many seconds apart


class Watch:
    """Watches one instance in a thread of its own, until it is told to end.

    It kills a worker, or Java, that was stopped (SIGSTOP): TorchServe does not see that, and its clients wait.

    Args:
        server: The instance, which has been proven.
        seconds: The longest that it may take for an answer.

    Attributes:
        is_whole: Whether all workers of all models were ready when it last looked, and nothing is wrong.
        is_dead: Whether a model had no worker that was ready when it last looked, or nobody could tell.
        is_wrong: Whether it has answered a golden picture wrongly.
        reason: Why it should be replaced; the first that was found, and None while there is none.
        restarted: How many workers TorchServe has started again.

    Raises:
        ServerError: An archive's known answers cannot be read any more.
    """

    def __init__(self, server: TorchServe, seconds: float) -> None:
        self._server, self._where, self._seconds = server, server.folder.name, seconds
        # Read now: later, a file that cannot be read would look like an instance that cannot answer.
        self._known = {name: health.known_answer(path) for name, path in server.archives.items()}
        self._ended = threading.Event()
        self._pids: dict[str, set[int]] = {}
        self._lacking_since: dict[str, float] = {}
        self._restarts: dict[str, list[float]] = {}
        self._silent, self._first = 0, 0
        self._busy_since: float | None = None
        self._question: Question[tuple[str | None, bool]] = Question()
        self._proven_at, self._restarted_before, self._unproven = time.monotonic(), 0, 0
        self._logged = 0
        self.is_whole, self.is_dead, self.is_wrong = True, False, False
        self.reason: str | None = None
        self.restarted = 0
        self._thread = threading.Thread(target=self._run, daemon=True, name=f"watch of {server.folder.name}")
        self._thread.start()

    def end(self) -> None:
        """Watch no more."""
        self._ended.set()

    def _run(self) -> None:
        properties, failed = self._server.properties, 0
        with Client(
            properties.inference, properties.management, management_seconds=_ANSWERED, seconds=self._seconds
        ) as client:
            while not self._ended.wait(_AFTER_FAILURE if failed else _EVERY):
                try:
                    self._look(client)
                    self._ask(client)
                    failed = 0
                except Exception as error:  # that no thread can be had, say, is no illness of the instance
                    failed += 1
                    logger.exception("instance %s cannot be watched", self._where)
                    if failed >= _FAILED:
                        self._find(f"it cannot be watched: {error!r}")

    def _find(self, reason: str | None) -> None:
        if reason is not None and self.reason is None and not self._ended.is_set():
            self.is_whole = False
            self.reason = reason

    def _look(self, client: Client) -> None:
        _end_if_stopped(self._server.process.pid, f"Java of instance {self._where}")
        whole, dead, silent, names = True, False, False, list(self._server.archives)
        # One that is not described hides no other for long: each look begins with the next.
        self._first = (self._first + 1) % len(names)
        for name in (*names[self._first :], *names[: self._first]):
            try:
                described = client.describe(name)
            except Refused:
                silent = True
                continue
            except Unreachable:  # so are the others, after as long a wait each
                silent = True
                break
            ready = {int(each["pid"]) for each in described["workers"] if each["status"] == "READY"}
            whole &= len(ready) >= int(described["minWorkers"])
            dead |= not ready
            self._find(self._trouble_with(name, ready, int(described["minWorkers"])))
        self._silent = self._silent + 1 if silent else 0
        if self._silent >= _SILENT:
            whole, dead = False, True
            self._find("its management address does not answer")
        self.is_whole, self.is_dead = whole and self.reason is None, dead
        if whole and not silent:
            self._logged = health.logged(self._server.logs)
        else:
            self._busy_since = None

    def _ask(self, client: Client) -> None:
        """Have golden pictures answered, while workers are looked at."""
        if self._question.is_done:
            self._proven_at = time.monotonic()
            try:
                reason, is_wrong = self._question.result()
                self._unproven = 0
            except Exception as error:  # what nobody thought of is an illness if it stays
                logger.exception("instance %s cannot be proven", self._where)
                self._unproven += 1
                reason, is_wrong = f"it cannot be proven: {error!r}" if self._unproven >= _FAILED else None, False
            # A worker that died while it answered is seen by looking; it is proven when it is back.
            if is_wrong or (self.is_whole and self._restarted_before == self.restarted):
                self.is_wrong |= is_wrong
                self._find(reason)
        elif not self._question.is_begun and self.is_whole and time.monotonic() - self._proven_at > _PROVEN_EVERY:
            self._restarted_before = self.restarted
            self._question.begin(lambda: self._prove(client))

    def _trouble_with(self, name: str, ready: set[int], wanted: int) -> str | None:
        now = time.monotonic()
        known = self._pids.setdefault(name, ready)
        for pid in ready - known:
            self.restarted += 1
            logger.warning("instance %s: a worker of %s died, process %d replaces it", self._where, name, pid)
            self._restarts.setdefault(name, []).append(now)
        self._pids[name] = known | ready
        for pid in ready:
            _end_if_stopped(pid, f"worker {pid} of {name}")
        if len(ready) >= wanted:
            self._lacking_since.pop(name, None)
        elif cause := health.refusal(self._server.logs, name, self._logged):
            return f"a worker of {name} refuses to serve: {cause}"
        elif now - self._lacking_since.setdefault(name, now) > _LACKING:
            return f"{name} has had {len(ready)} of {wanted} workers for {_LACKING:.0f} s"
        recent = [at for at in self._restarts.get(name, []) if now - at < _CRASHING]
        if len(recent) >= _CRASHES:
            return f"{len(recent)} workers of {name} died within {_CRASHING:.0f} s"
        return None

    def _prove(self, client: Client) -> tuple[str | None, bool]:
        busy = None
        for name, known in self._known.items():
            try:
                health.require_known_answer(client, name, known)
            except Busy as error:
                busy = str(error)
            except Unreachable:
                return f"{name} does not answer", False
            except ServerError as error:
                return str(error), isinstance(error, WrongAnswer)
        if busy is None:
            self._busy_since = None
            return None, False
        since = self._busy_since = self._busy_since or time.monotonic()
        return (busy if time.monotonic() - since > _BUSY else None), False


def _end_if_stopped(pid: int, what: str) -> None:
    """End what was stopped by a signal: its requests are answered by others, and it is started again."""
    if process_state.is_stopped(pid):
        logger.warning("%s is stopped; it is ended", what)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
