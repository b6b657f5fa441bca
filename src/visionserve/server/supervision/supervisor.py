"""Instances come and go, and clients notice nothing: start, heal, reload and stop are made of the same few steps.

All of them happen in one thread, which looks at everything that can die while it waits for anything.
"""

from __future__ import annotations

import logging
import queue
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from visionserve.runtime.errors import VisionserveError
from visionserve.server.errors import ServerError
from visionserve.server.run import notify, record
from visionserve.server.run.folder import RunFolder
from visionserve.server.run.warden import Warden
from visionserve.server.settings import heap, job_queue, safety
from visionserve.server.supervision import disk, layout, memory, orders
from visionserve.server.supervision.front import Front
from visionserve.server.supervision.generations import Generations
from visionserve.server.supervision.instances import Instance, Instances, Setup
from visionserve.server.supervision.orders import Orders, carried_out
from visionserve.server.supervision.replicas import Replicas
from visionserve.server.supervision.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from visionserve.project import Project
    from visionserve.server.instance.admission import Admission
    from visionserve.server.settings.properties import Properties
    from visionserve.server.settings.serving import Serving

logger = logging.getLogger(__name__)

_POLL = 0.1  # seconds between two looks at what can die
_AFTER_ERROR = 1.0  # seconds
_WATCHED = 5.0  # seconds between two signs of life to a service manager
_HURRIED = 2  # times that it was asked to end


class Ending(BaseException):
    """The server was asked to end while it did something else; nothing that deals with errors holds it up."""


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
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._asked = 0
        self._draining = False
        self._told_at = 0.0
        self._tell_at = 0.0
        self._untold: record.Running | None = None
        self._reloads = 0

    def end(self) -> None:
        """Ask it to end, from anywhere; asked a second time, it waits for no request any more."""
        self._asked += 1

    def run(self, ready: Callable[[str, float, str], None]) -> None:
        """Serve until asked to end.

        Args:
            ready: Called for each model when it answers clients, with its name, the seconds that it took, and the
                base URL at which it does.

        Raises:
            ServerError: It cannot start: a port is taken, or a model cannot be served.
        """
        safety.require_closed(self._properties)
        for sentence in safety.overridden(self._properties):
            logger.warning(sentence)
        with ExitStack() as stack:
            self._warden = Warden()
            stack.callback(self._warden.close)
            self._folder = RunFolder.make(self._project)
            stack.callback(self._folder.remove)
            for place in self._folder.places:
                self._warden.remove(place)
            self._generations = Generations(self._sources, self._folder.path, self._admit)
            archives = self._generations.keep()
            for said in (
                heap.require_room(self._properties, archives),
                job_queue.complaint(self._properties, archives, self._settings.limits),
            ):
                if said is not None:
                    logger.warning(said)
            slots = layout.slots(self._folder, self._settings)
            whole = layout.completed(self._settings, self._project, self._properties)
            self._front = Front(whole, slots, self._folder, self._project.logs, archives, self._warden)
            stack.callback(self._front.end)
            setup = Setup(
                self._folder,
                self._project.logs,
                self._properties,
                self._settings.environment,
                self._warden,
                self._timeout,
                whole.limits.answer_seconds,
                self._settings.instances,
            )
            self._instances = Instances(slots, setup, lambda: self._front.control, self._look)
            stack.callback(self._instances.end_all)
            self._replicas = Replicas(
                self._instances, self._settings.instances, archives, self._settings.drain_seconds, self._started
            )
            stack.callback(Orders(self._folder.orders, self._obey).close)
            stack.callback(self._drain)
            with suppress(Ending):
                proven: dict[str, float] = {}
                self._replicas.fill(proven.setdefault)
                self._front.require_answers()
                for name, seconds in proven.items():
                    ready(name, seconds, self._front.url)
                notify.tell("READY=1", f"STATUS=serving {', '.join(archives)} at {self._front.url}")
                self._serve()

    def _serve(self) -> None:
        while True:
            try:
                self._look()
                with suppress(queue.Empty):
                    self._events.get(timeout=_POLL)()
                self._replicas.mend()
            except Exception as error:  # what nobody thought of ends nothing that is served
                _log(error)
                time.sleep(_AFTER_ERROR)

    def _look(self) -> None:
        """Look at all that can die.

        Raises:
            Ending: This server was asked to end.
        """
        if self._asked and not self._draining:
            raise Ending
        if time.monotonic() - self._told_at > _WATCHED:
            notify.tell("WATCHDOG=1")
            self._told_at = time.monotonic()
        self._warden.revive()
        for instance in self._instances:
            code = instance.server.process.poll()
            if code is not None:
                self._replicas.lose(instance, f"Java ended with code {code}")
            elif instance.watch.reason is not None and instance.watch.is_wrong:
                self._replicas.lose(instance, instance.watch.reason)
            elif instance.watch.reason is not None and not instance.is_leaving:
                self._replicas.report(instance, instance.watch.reason)
        if time.monotonic() > self._tell_at:
            self._tell()

    def _tell(self) -> None:
        """Tell the edge of the instances, and other commands of all; what fails is tried again after a while."""
        try:
            self._front.revive(self._instances.open_slots)
            self._instances.lead()
            is_ready = bool(len(self._instances)) and all(each.watch.is_whole for each in self._instances)
            self._front.tell(is_ready=is_ready)
            if self._untold is not None:
                record.write(self._project, self._untold)
                self._untold = None
        except (VisionserveError, OSError) as error:
            # HAProxy was killed just now, or cannot be started, or a disk is full.
            _log(error)
            self._tell_at = time.monotonic() + _AFTER_ERROR

    def _started(self, instance: Instance, seconds: float) -> None:
        self._untold = record.Running(
            inference=self._front.url,
            management=instance.server.properties.management,
            archives={name: str(path) for name, path in instance.archives.items()},
            orders=str(self._folder.orders),
            drain_seconds=self._settings.drain_seconds,
            own=self._front.own,
        )
        with suppress(ServerError):  # HAProxy was killed just now; its next one is told
            self._front.control.set_restart_time(seconds)
        self._tell()

    def _obey(self, order: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Do what another command orders, and tell it what comes of it; called in a thread of the order's own.

        What changes anything is done in the supervisor's thread.
        """
        match order:
            case {"order": orders.STATUS}:
                yield self.status().write()
            case {"order": orders.READ_AGAIN}:
                yield from carried_out(self._events, lambda _: self._front.reread())
            case {"order": orders.RELOAD, "models": [*models], "gap": gap}:
                yield from carried_out(self._events, lambda tell: self._reload(models, tell, gap=gap))
            case _:
                raise ServerError(f"{order!r} is no order")

    def status(self) -> Status:
        """What it does, and what has happened since the start."""
        # A full disk first: what TorchServe says when it finds no room is not that.
        room = disk.complaint((self._folder.path, self._project.logs))
        troubles = room, self._replicas.trouble, self._front.trouble
        return Status(
            is_ready=self._front.is_ready,
            is_draining=self._draining,
            trouble="; ".join(filter(None, troubles)),
            instances={each.slot.name: each.server.properties.management for each in self._instances},
            workers_restarted=sum(each.watch.restarted for each in self._instances),
            replaced=self._replicas.causes,
            reloads=self._reloads,
            edge_restarts=self._front.restarts,
        )

    def _reload(self, models: Sequence[str], tell: Callable[[dict[str, Any]], None], *, gap: bool) -> None:
        """Serve the archives that are in the model store now; if one cannot be served, nothing changes."""
        if not gap:
            memory.require_room([instance.server.process.pid for instance in self._instances])
        kept = self._generations.keep(models)
        try:
            self._replicas.update(
                {**self._replicas.archives, **kept},
                lambda name, seconds: tell({"model": name, "seconds": seconds}),
                gap=gap,
            )
        finally:
            self._generations.forget_all_but(self._replicas.used)
        self._front.show(self._replicas.archives)
        self._reloads += 1

    def _drain(self) -> None:
        """Answer what was accepted, and refuse what comes."""
        self._draining = True
        if not len(self._instances):
            return
        notify.tell("STOPPING=1", "STATUS=draining")
        logger.warning("draining: what was accepted is answered, for at most %g s", self._settings.drain_seconds)
        try:
            self._front.drain(self._settings.drain_seconds, self._is_patient)
        except VisionserveError as error:
            logger.error("it ends without knowing what is under way: %s", error)

    def _is_patient(self) -> bool:
        self._look()
        return self._asked < _HURRIED


def _log(error: Exception) -> None:
    thought_of = isinstance(error, (VisionserveError, OSError))
    logger.error("%s", error if thought_of else repr(error), exc_info=not thought_of)
