"""The supervisor's thread: it looks at all that can die, whatever it waits for, and does what is ordered."""

from __future__ import annotations

import logging
import queue
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from visionserve.runtime.errors import VisionserveError
from visionserve.server.errors import ServerError
from visionserve.server.host import memory
from visionserve.server.instance import question
from visionserve.server.orders import giving
from visionserve.server.orders.taking import carried_out
from visionserve.server.run import notify
from visionserve.server.settings import job_queue
from visionserve.server.settings.settings_files import SettingsFiles
from visionserve.server.supervision import condition
from visionserve.server.supervision.announcement import Announcement
from visionserve.server.supervision.instances import Instance, Instances
from visionserve.server.supervision.replicas import Replicas

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from visionserve.project import Project
    from visionserve.server.edge.configuration import Slot
    from visionserve.server.orders.status import Status
    from visionserve.server.settings.serving import Serving
    from visionserve.server.supervision.front import Front
    from visionserve.server.supervision.generations import Generations
    from visionserve.server.supervision.setup import Setup

logger = logging.getLogger(__name__)

_POLL = 0.1  # seconds between two looks at what can die
_AFTER_ERROR = 1.0  # seconds
_WATCHED = 5.0  # seconds between two signs of life to a service manager
_HURRIED = 2  # times that it was asked to end


class Ending(BaseException):
    """The server was asked to end while it did something else; nothing that deals with errors holds it up."""


class Loop:
    """What is done in one thread: start, heal, reload and stop are made of the same few steps.

    Args:
        project: The project.
        settings: `server.yaml`.
        front: The edge.
        generations: Where archives come from.
        archives: The .mar file of each model.
        slots: Where instances can be.
        setup: How they are started.
        asked: How often the server was asked to end, which may become more at any time.

    Attributes:
        instances: Those that serve.
    """

    def __init__(
        self,
        project: Project,
        settings: Serving,
        front: Front,
        generations: Generations,
        archives: Mapping[str, Path],
        slots: Sequence[Slot],
        setup: Setup,
        asked: Callable[[], int],
    ) -> None:
        self._project, self._settings, self._front, self._generations = project, settings, front, generations
        self._folder, self._warden, self._properties = setup.folder, setup.warden, setup.properties
        self._announcement = Announcement(project, front, str(setup.folder.orders), settings.drain_seconds)
        self._asked, self._files = asked, SettingsFiles((project.config, project.serving))
        self.instances = Instances(slots, setup, lambda: self._front.control, self.look)
        self._replicas = Replicas(
            self.instances,
            settings.instances,
            archives,
            max(settings.limits.answer_seconds, settings.limits.upload_seconds),
            self._started,
        )
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._urgent: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()  # not to wait for those
        self._draining, self._reloads = False, 0
        self._alive_at = self._edge_at = 0.0
        self._edge_said = ""

    def start(self) -> dict[str, float]:
        """Start all instances, and return the seconds that each model took.

        Raises:
            VisionserveError: One cannot be had, or a model does not answer through the edge.
            Ending: The server was asked to end.
        """
        proven: dict[str, float] = {}
        self._replicas.fill(proven.setdefault)
        self._front.require_answers()
        return proven

    def run(self) -> None:
        """Go on until the server is asked to end.

        Raises:
            Ending: It was.
        """
        while True:
            for step in (self.look, self._carry_out, self._replicas.mend):
                try:
                    step()
                except Exception as error:  # what nobody thought of ends nothing that is served
                    _log(error)
                    time.sleep(_AFTER_ERROR)

    def _carry_out(self) -> None:
        """Do what was ordered next, if anything is within a moment."""
        with suppress(queue.Empty):
            self._events.get(timeout=_POLL)()

    def look(self) -> None:
        """Start again what died, end what answers wrongly, and tell the edge and a service manager how things are.

        Raises:
            Ending: This server was asked to end.
        """
        if self._asked() and not self._draining:
            raise Ending
        if time.monotonic() - self._alive_at > _WATCHED:
            notify.tell("WATCHDOG=1")
            self._alive_at = time.monotonic()
        self._warden.revive()
        for instance in self.instances:
            code = instance.server.process.poll()
            if code is not None:
                self._replicas.lose(instance, f"Java ended with code {code}")
                logger.error("what Java said last is in %s", instance.server.logs)
            elif instance.watch.reason is not None and instance.watch.is_wrong:
                self._replicas.lose(instance, instance.watch.reason)
            elif instance.watch.reason is not None and not instance.is_leaving:
                self._replicas.report(instance, instance.watch.reason)
        if time.monotonic() > self._edge_at:
            self._tend_edge()
        with suppress(queue.Empty):
            self._urgent.get_nowait()()

    def _tend_edge(self) -> None:
        """Start the edge again if it died, and tell it of the instances; what fails is tried again later."""
        try:
            self._front.revive(self.instances.open_slots)
            self.instances.lead()
            enough = len(self.instances) >= self._settings.instances
            self._front.tell(is_ready=enough and all(each.watch.is_whole for each in self.instances))
            self._announcement.write()
            self._front.describe()
            self._edge_said = ""
        except Exception as error:
            # HAProxy was killed just now, or cannot be started, or a disk is full. Whatever it is, instances are
            # looked after, and it is told once.
            if repr(error) != self._edge_said:
                _log(error)
            self._edge_said = repr(error)
            self._edge_at = time.monotonic() + _AFTER_ERROR

    def _started(self, instance: Instance, seconds: float) -> None:
        self._announcement.renew(instance)
        with suppress(ServerError):  # HAProxy was killed just now; its next one is told
            self._front.control.set_restart_time(seconds)
        self._tend_edge()

    def obey(self, order: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Do what another command orders, and tell it what comes of it; called in a thread of the order's own.

        What changes anything is done in the supervisor's thread.
        """
        match order:
            case {"order": giving.STATUS}:
                yield self.status().write()
            case {"order": giving.RELOAD_KEYS}:
                yield from carried_out(self._urgent, lambda _: self._front.reload_keys())
            case {"order": giving.RELOAD, "models": [*models], "gap": gap}:
                yield from carried_out(self._events, lambda tell: self._reload(models, tell, gap=gap))
            case _:
                raise ServerError(f"{order!r} is no order")

    def status(self) -> Status:
        """What it does, and what has happened since the start."""
        return condition.of(
            self._front,
            self.instances,
            self._replicas,
            (self._folder.path, self._project.logs),
            changed=self._files.changed(),
            is_draining=self._draining,
            reloads=self._reloads,
        )

    def _reload(self, models: Sequence[str], tell: Callable[[dict[str, Any]], None], *, gap: bool) -> None:
        """Serve the archives that are in the model store now; if one cannot be served, nothing changes."""
        wanted = ", ".join(models) or "all models"
        logger.info("reload of %s", wanted)
        if not gap:
            memory.require_room([instance.server.process.pid for instance in self.instances])
        archives = {**self._replicas.archives, **question.ask(partial(self._generations.keep, models), self.look)}
        try:
            if said := job_queue.complaint(self._properties, archives, self._settings.limits):
                logger.warning(said)
            self._replicas.update(
                archives,
                lambda name, seconds: tell({"model": name, "seconds": seconds}),
                gap=gap,
            )
        finally:
            self._generations.forget_all_but(self._replicas.used)
        self._reloads += 1
        logger.info("reloaded: %s", wanted)
        self._front.show(archives)
        self._tend_edge()

    def drain(self) -> None:
        """Answer what was accepted, and refuse what comes."""
        self._draining = True
        seconds = self._settings.drain_seconds
        if not len(self.instances):
            if not self._front.has_requests():
                return
            # They wait for an instance, and are told to come again when they have waited long enough.
            seconds = min(seconds, self._settings.limits.queue_seconds + _AFTER_ERROR)
        notify.tell("STOPPING=1", "STATUS=draining")
        logger.warning("draining: what was accepted is answered, for at most %g s", seconds)
        try:
            self._front.drain(seconds, self._is_patient)
            logger.info("drained")
        except Exception as error:  # all that was started is ended after this
            logger.error("it ends without knowing what is under way: %s", error)

    def _is_patient(self) -> bool:
        self.look()
        return self._asked() < _HURRIED


def _log(error: Exception) -> None:
    thought_of = isinstance(error, (VisionserveError, OSError))
    logger.error("%s", error if thought_of else repr(error), exc_info=not thought_of)
