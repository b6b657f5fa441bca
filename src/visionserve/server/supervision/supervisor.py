"""A project's server from its start to its end: what it is made of is built here, and taken down again."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from visionserve import __version__
from visionserve.server.orders.taking import Orders
from visionserve.server.run import notify
from visionserve.server.run.folder import RunFolder
from visionserve.server.run.warden import Warden
from visionserve.server.settings import heap, job_queue, safety
from visionserve.server.supervision import layout
from visionserve.server.supervision.front import Front
from visionserve.server.supervision.generations import Generations
from visionserve.server.supervision.loop import Ending, Loop
from visionserve.server.supervision.setup import Setup

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from visionserve.project import Project
    from visionserve.server.instance.admission import Admission
    from visionserve.server.settings.properties import Properties
    from visionserve.server.settings.serving import Serving

logger = logging.getLogger(__name__)


class Supervisor:
    """Runs a project's server until it is asked to end.

    Args:
        project: The project.
        archives: The .mar file of each model.
        settings: `server.yaml`.
        properties: `config.properties`.
        admit: What puts each archive into the server's own folder, or refuses it.
        timeout: Seconds that models may take to become ready.
    """

    def __init__(
        self,
        project: Project,
        archives: Mapping[str, Path],
        settings: Serving,
        properties: Properties,
        admit: Admission,
        timeout: float,
    ) -> None:
        self._project, self._settings, self._properties = project, settings, properties
        self._admit, self._timeout, self._sources = admit, timeout, dict(archives)
        self._asked = 0

    def end(self) -> None:
        """Ask it to end, from anywhere; asked a second time, it waits for no request any more."""
        self._asked += 1

    def run(self, ready: Callable[[str, float, str], None]) -> None:
        """Serve until asked to end.

        Args:
            ready: Called for each model when it answers clients, with its name, the seconds that it took, and the
                base URL at which it does.

        Raises:
            VisionserveError: It cannot start: a port is taken, an archive is not admitted or not what was built, a
                model cannot be served.
        """
        safety.require_closed(self._properties)
        for sentence in safety.overridden(self._properties):
            logger.warning(sentence)
        with ExitStack() as stack:
            warden = Warden()
            stack.callback(warden.close)
            folder = RunFolder.make(self._project)
            stack.callback(folder.remove)
            for path in folder.to_remove:
                warden.guard_folder(path)
            generations = Generations(self._sources, folder.path, self._admit)
            archives = generations.keep()
            logger.info(
                "process %d, visionserve %s, serves %s",
                os.getpid(),
                __version__,
                ", ".join(f"{name} {version}" for name, version in layout.versions(archives).items()),
            )
            for said in (
                heap.require_room(self._properties, archives),
                job_queue.complaint(self._properties, archives, self._settings.limits),
            ):
                if said is not None:
                    logger.warning(said)
            slots = layout.slots(folder, self._settings)
            completed = layout.completed(self._settings, self._project, self._properties)
            front = Front(completed, slots, folder, self._project.logs, archives, warden)
            stack.callback(front.end)
            setup = Setup(
                folder,
                self._project.logs,
                self._properties,
                self._settings.environment,
                warden,
                self._timeout,
                completed.limits.answer_seconds,
                self._settings.instances,
            )
            loop = Loop(
                self._project, self._settings, front, generations, archives, slots, setup, lambda: self._asked
            )
            stack.callback(loop.instances.end_all)
            stack.callback(Orders(folder.orders, loop.obey).close)
            stack.callback(loop.drain)
            with suppress(Ending):
                for name, seconds in loop.start().items():
                    ready(name, seconds, front.url)
                notify.tell("READY=1", f"STATUS=serving {', '.join(archives)} at {front.url}")
                loop.run()
