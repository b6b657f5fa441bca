"""The edge as the supervisor has it: one HAProxy after another, each told what the one before had been told."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from visionserve.client import Client
from visionserve.server.edge import control, haproxy, metadata
from visionserve.server.edge.haproxy_process import HAProxyProcess
from visionserve.server.edge.pace import Pace
from visionserve.server.edge.uploads import Uploads
from visionserve.server.errors import ServerError
from visionserve.server.instance import health
from visionserve.server.settings.properties import UNIX
from visionserve.server.supervision import layout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from visionserve.server.edge.configuration import Slot
    from visionserve.server.edge.control import Control
    from visionserve.server.run.folder import RunFolder
    from visionserve.server.run.warden import Warden
    from visionserve.server.settings.serving import Serving

logger = logging.getLogger(__name__)

_POLL = 0.1  # seconds
_SILENT = 3  # times in a row that it does not answer: it was stopped, hangs, or has lost its sockets


class Front:
    """A running edge.

    Args:
        settings: How to serve, with nothing left open.
        slots: Where instances can be.
        folder: The run folder.
        logs: The folder for its log file.
        archives: The .mar file of each model.
        warden: What ends it when this process is killed.

    Raises:
        ServerError: HAProxy is not there, or does not start.
    """

    def __init__(
        self,
        settings: Serving,
        slots: Sequence[Slot],
        folder: RunFolder,
        logs: Path,
        archives: Mapping[str, Path],
        warden: Warden,
    ) -> None:
        self._settings, self._slots, self._folder, self._logs = settings, slots, folder, logs
        self._warden, self._archives, self._versions = warden, archives, layout.versions(archives)
        self._is_shown = True
        self._pace = Pace()
        self._uploads = Uploads(folder.edge / control.WORKER, settings.limits.upload_seconds)
        self._is_ready: bool | None = None
        self._silent = 0
        self._lost = ""
        self.restarts = 0
        self._edge = self._opened()

    @property
    def control(self) -> Control:
        """What it is told while it runs."""
        return self._edge.control

    @property
    def url(self) -> str:
        """Base URL of the address that clients ask."""
        scheme = "https" if self._settings.edge.certificate else "http"
        return f"{scheme}://{self._settings.edge.address}"

    @property
    def own(self) -> str:
        """The address at which the server itself asks, as clients do but without a key."""
        return f"{UNIX}{self._edge.own}"

    @property
    def is_ready(self) -> bool:
        """What it tells whoever asks whether all is well; nobody hears one that is lost."""
        return bool(self._is_ready) and not self._lost

    @property
    def trouble(self) -> str:
        """What is wrong; empty if nothing is.

        That it does not answer, or what keys or certificate are bad, in whose stead those of before are used.
        """
        return "; ".join(filter(None, (self._lost, self._edge.trouble)))

    def revive(self, up: Sequence[str]) -> None:
        """Look at it, and start it again if it has ended, or has answered nothing for a while.

        It is told how fast instances go, and which request takes too long.

        Args:
            up: The slots that take requests.

        Raises:
            ServerError: It does not answer, or cannot be started.
            OSError: There is no room for what it reads, or no process can be had.
        """
        try:
            self._revive(up)
            self._pace.look(self.control)
            self._uploads.look()
            if not self._is_shown:
                self._edge.reload(metadata=self._described(), strict=False)
                self._is_shown = True
        except (ServerError, OSError) as error:
            self._silent += 1
            self._lost = str(error)
            raise
        self._silent, self._lost = 0, ""

    def _revive(self, up: Sequence[str]) -> None:
        if self._silent >= _SILENT:
            cause = "does not answer"
        elif not self._edge.alive:
            cause = "ended"
        elif self._edge.is_stopped:
            cause = "was stopped"
        else:
            return
        if not self._lost:
            logger.error("HAProxy %s; it is started again", cause)
        self._silent, self._is_ready = 0, None
        self._edge.kill()
        self._edge = self._opened(self.control.facts)
        self._is_shown = True
        self.restarts += 1
        for slot in up:
            self.control.up(slot)

    def tell(self, *, is_ready: bool) -> None:
        """Tell it whether all is well.

        Raises:
            ServerError: It does not answer.
        """
        if is_ready != self._is_ready:
            self.control.set_ready(ready=is_ready)
            self._is_ready = is_ready

    def require_answers(self) -> None:
        """Ask each model through it, as a client does.

        Raises:
            ServerError: One answers wrongly, or not at all.
        """
        with Client(self.own, "") as client:
            for name, archive in self._archives.items():
                health.require_known_answer(client, name, health.known_answer(archive))

    def show(self, archives: Mapping[str, Path]) -> None:
        """Have clients told of these models, which are served already, when it is revived the next time.

        Raises:
            VisionserveError: An archive cannot be read.
        """
        self._archives, self._versions, self._is_shown = archives, layout.versions(archives), False

    def reload_keys(self) -> None:
        """Read keys and certificate anew; no request is lost.

        Raises:
            ServerError: One of them is bad, or HAProxy refuses it; it goes on as before.
        """
        self._edge.reload()

    def drain(self, seconds: float, go_on: Callable[[], bool]) -> None:
        """Refuse what comes, and wait until what was accepted is answered.

        Args:
            seconds: The longest to wait.
            go_on: Called again and again, to revive it too; false ends the waiting.
        """
        go_on()  # in the place of one that was stopped or killed there is another, before it is told anything
        with suppress(ServerError):  # killed just now: the next one is told by `revive`
            self.control.set_draining(draining=True)
        end = time.monotonic() + seconds
        while self.has_requests() and time.monotonic() < end and go_on():
            time.sleep(_POLL)

    def end(self) -> None:
        """End it; who has a connection and asks just now is still told so."""
        self._edge.end()

    def has_requests(self) -> bool:
        """Whether any are under way, or nobody can tell just now."""
        try:
            return bool(self.control.figures().under_way)
        except ServerError:
            return True

    def _opened(self, facts: Mapping[str, int] | None = None) -> HAProxyProcess:
        folder, described = self._folder.edge, self._described()
        return HAProxyProcess(
            haproxy.find(), self._settings, self._slots, folder, self._logs, described, self._warden, facts
        )

    def _described(self) -> dict[str, Path]:
        """A file for each model that tells what it is in the Open Inference Protocol's words."""
        return metadata.write(layout.metadata(self._folder), self._versions)
