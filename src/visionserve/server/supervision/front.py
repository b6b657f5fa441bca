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
_SILENT = 3  # times in a row that it does not answer: it hangs, or has lost its sockets
_SHOWN_AGAIN = 5.0  # seconds between two attempts to have it tell of other models


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
        self._is_shown, self._shown_again_at, self._unshown = True, 0.0, ""
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

        That it does not answer, that it has not heard of other models, or what keys or certificate are bad, in
        whose stead those of before are used.
        """
        return "; ".join(filter(None, (self._lost, self._unshown, self._edge.trouble)))

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
        except (ServerError, OSError) as error:
            self._silent += 1
            self._lost = str(error)
            raise
        self._silent, self._lost = 0, ""

    def describe(self) -> None:
        """Have clients told of the models that are served now, unless they are; tried again after a while.

        Raises:
            ServerError: HAProxy does not take it; it goes on serving, and tells of the models of before.
            OSError: There is no room for what it reads, or no process can be had.
        """
        if self._is_shown or time.monotonic() < self._shown_again_at:
            return
        self._shown_again_at = time.monotonic() + _SHOWN_AGAIN
        try:
            self._edge.reload(metadata=self._described(), strict=False)
        except (ServerError, OSError) as error:
            self._unshown = f"clients are told of the models of before: {error}"
            raise
        self._is_shown, self._unshown = True, ""

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
        self._is_shown, self._unshown = True, ""
        self.restarts += 1
        logger.warning("HAProxy was started again")
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
        """Have clients told of these models, which are served already, by `describe`.

        Raises:
            VisionserveError: An archive cannot be read.
        """
        self._archives, self._versions, self._is_shown = archives, layout.versions(archives), False
        self._shown_again_at = 0.0

    def reload_keys(self) -> None:
        """Read keys and certificate anew; no request is lost.

        Raises:
            ServerError: One of them is bad, HAProxy refuses it, or it was started without; it goes on as before.
        """
        if self._settings.keys is None and self._settings.edge.certificate is None:
            raise ServerError(
                "this server was started without keys and certificate, and server.yaml is read at the start: stop"
                " it and start it again"
            )
        self._edge.reload()
        logger.info("keys and certificate were read anew")

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
