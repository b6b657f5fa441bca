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

import psutil

from visionserve.calls import Refused, Unreachable
from visionserve.client import Client
from visionserve.server.errors import ServerError, WrongAnswer
from visionserve.server.instance import health
from visionserve.server.supervision.proof import Proof

if TYPE_CHECKING:
    from collections.abc import Callable

    from visionserve.server.instance.launcher import TorchServe

logger = logging.getLogger(__name__)

_EVERY = 0.5  # seconds between two looks at the workers
_PROVEN_EVERY = 10.0  # seconds between two golden pictures for each model
# A worker loads within seconds; TorchServe waits 1, 1, 2, 3, 5 ... seconds before it starts one again.
_LACKING = 60.0  # seconds for which a model may lack workers
_CRASHES, _CRASHING = 5, 60.0  # so many new workers of a model within so many seconds are a crash loop
_ANSWERED = 5.0  # seconds that TorchServe may take to say how its workers are
_SILENT = 3  # so many looks in a row without an answer, and it is given up


class Watch:
    """Watches one instance in a thread of its own.

    Args:
        server: The instance, which has been proven.
        ill: Called once when it should be replaced: with the reason, and whether it answers wrongly.
    """

    def __init__(self, server: TorchServe, ill: Callable[[str, bool], None]) -> None:
        self._server, self._where = server, server.folder.name
        self._ill = ill
        self._ended = threading.Event()
        self._whole = threading.Event()
        self._whole.set()
        self._dead = False
        self._pids: dict[str, set[int]] = {}
        self._lacking_since: dict[str, float] = {}
        self._restarts: dict[str, list[float]] = {}
        self._silent = 0
        self.restarted = 0
        self._thread = threading.Thread(target=self._run, daemon=True, name=f"watch of {server.folder.name}")
        self._thread.start()

    @property
    def is_whole(self) -> bool:
        """Whether all workers of all models were ready when it last looked."""
        return self._whole.is_set()

    @property
    def is_dead(self) -> bool:
        """Whether a model had no worker that was ready when it last looked."""
        return self._dead

    def end(self) -> None:
        """Watch no more."""
        self._ended.set()

    def _run(self) -> None:
        try:
            self._watch()
        except Exception as error:  # nobody would look after the instance any more
            logger.exception("the watch of instance %s ended", self._where)
            self._ill(f"it cannot be watched: {error!r}", False)

    def _watch(self) -> None:
        proven, proof = time.monotonic(), Proof()
        properties = self._server.properties
        with Client(properties.inference, properties.management, management_seconds=_ANSWERED) as client:
            while not self._ended.wait(_EVERY):
                reason, is_wrong = self._look(client), False
                if proof.is_done:
                    found = proof.result()
                    proven = time.monotonic()
                    # A worker that died while it answered is seen by looking; it is proven when it is back.
                    if found[1] or (self.is_whole and proof.restarted == self.restarted):
                        reason, is_wrong = reason or found[0], found[1]
                elif not proof.is_begun and self.is_whole and time.monotonic() - proven > _PROVEN_EVERY:
                    proof.begin(lambda: self._prove(client), self.restarted)
                if reason is not None and not self._ended.is_set():
                    self._ill(reason, is_wrong)
                    return

    def _look(self, client: Client) -> str | None:
        _end_if_stopped(self._server.process.pid, f"Java of instance {self._where}")
        whole, dead = True, False
        for name in self._server.archives:
            try:
                described = client.describe(name)
            except (Unreachable, Refused) as error:
                self._silent += 1
                if self._silent >= _SILENT:
                    return f"its management address does not answer: {error}"
                return None
            self._silent = 0
            ready = {int(each["pid"]) for each in described["workers"] if each["status"] == "READY"}
            whole &= len(ready) >= int(described["minWorkers"])
            dead |= not ready
            reason = self._of_workers(name, ready, int(described["minWorkers"]))
            if reason is not None:
                return reason
        (self._whole.set if whole else self._whole.clear)()
        self._dead = dead
        return None

    def _of_workers(self, name: str, ready: set[int], wanted: int) -> str | None:
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
        elif cause := health.refusal(self._server.logs, name):
            return f"a worker of {name} refuses to serve: {cause}"
        elif now - self._lacking_since.setdefault(name, now) > _LACKING:
            return f"{name} has had {len(ready)} of {wanted} workers for {_LACKING:.0f} s"
        recent = [at for at in self._restarts.get(name, []) if now - at < _CRASHING]
        if len(recent) >= _CRASHES:
            return f"{len(recent)} workers of {name} died within {_CRASHING:.0f} s"
        return None

    def _prove(self, client: Client) -> tuple[str | None, bool]:
        for name, archive in self._server.archives.items():
            try:
                health.require_known_answer(client, name, archive)
            except (Unreachable, ServerError) as error:
                return str(error), isinstance(error, WrongAnswer)
        return None, False


def _end_if_stopped(pid: int, what: str) -> None:
    """End what was stopped by a signal: its requests are answered by others, and it is started again."""
    with suppress(psutil.Error, ProcessLookupError):
        if psutil.Process(pid).status() == psutil.STATUS_STOPPED:
            logger.warning("%s is stopped; it is ended", what)
            os.kill(pid, signal.SIGKILL)
