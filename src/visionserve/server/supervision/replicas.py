"""As many instances as are wanted, all from the same archives: what is lacking, ill or out of date is replaced."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from visionserve.runtime.errors import VisionserveError
from visionserve.server.errors import ServerError
from visionserve.server.host import memory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from visionserve.server.supervision.instances import Instance, Instances

logger = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0  # seconds between two attempts to have an instance that cannot be had


class Replicas:
    """Keeps the wanted instances.

    Args:
        instances: Where they are started and ended.
        wanted: How many.
        archives: The .mar file of each model.
        answer_seconds: The longest to wait for the answers of one that is ended because it is out of date.
        started: Called with each that serves, and the seconds that it took.

    Attributes:
        causes: How often an instance was found to be of no use, for each reason.
    """

    def __init__(
        self,
        instances: Instances,
        wanted: int,
        archives: Mapping[str, Path],
        answer_seconds: float,
        started: Callable[[Instance, float], None],
    ) -> None:
        self._instances, self._wanted, self._archives = instances, wanted, archives
        self._answer_seconds, self._started = answer_seconds, started
        self._pause, self._again_at, self._failure, self._lost = _FIRST_PAUSE, 0.0, "", ""
        self._ill: dict[Instance, str] = {}
        self.causes: dict[str, int] = {}

    @property
    def archives(self) -> Mapping[str, Path]:
        """The .mar file of each model, from which instances are started now."""
        return self._archives

    @property
    def used(self) -> set[Path]:
        """The .mar files from which instances are started now, or were."""
        return {
            path for each in (self._archives, *(one.archives for one in self._instances)) for path in each.values()
        }

    @property
    def trouble(self) -> str:
        """Why there are fewer than are wanted, and what is wrong with those there are; empty if all is well."""
        ill = [f"instance {each.slot.name}: {reason}" for each, reason in list(self._ill.items())]
        return "; ".join(filter(None, (self._failure, self._lost, *ill)))

    def fill(self, ready: Callable[[str, float], object] = lambda _name, _seconds: None) -> None:
        """Start what is lacking.

        Args:
            ready: Called with the name of each model that is proven, and the seconds that took.

        Raises:
            VisionserveError: One cannot be had.
        """
        for _ in range(self._wanted - len(self._instances)):
            self._start(ready)
        if len(self._instances) < self._wanted:  # orders get their turn before the next attempt
            raise ServerError(f"instances end as fast as others are started: {self._lost}")

    def report(self, instance: Instance, reason: str) -> None:
        """Have an instance replaced when `mend` is called, and keep why; once for each is enough."""
        if instance in self._ill or instance not in self._instances:
            return
        logger.error("instance %s is given up: %s", instance.slot.name, reason)
        self.causes[reason] = self.causes.get(reason, 0) + 1
        self._ill[instance] = reason
        self._again_at = 0.0

    def lose(self, instance: Instance, reason: str) -> None:
        """End an instance at once, which is of no use to anybody, and have it replaced."""
        self.report(instance, reason)
        self._end(instance)
        at = time.strftime("%H:%M:%S")
        self._lost = f"instance {instance.slot.name} ended at {at}, for {reason}; another one is to take its place"

    def mend(self) -> None:
        """Start what is lacking, replace what is ill or out of date; where that fails, do so after a while."""
        if time.monotonic() >= self._again_at:
            self._mend(gap=False)

    def update(self, archives: Mapping[str, Path], ready: Callable[[str, float], object], *, gap: bool) -> None:
        """Serve other archives; where one instance cannot be had from them, all serve what they served before.

        Args:
            archives: The .mar file of each model.
            ready: Called with the name of each model that is proven, and the seconds that took.
            gap: Whether an old instance ends before the new one starts, for lack of memory.

        Raises:
            VisionserveError: One cannot be had from them.
        """
        before, self._archives = self._archives, archives
        try:
            self._renew(ready, gap=gap)
        except Exception:
            self._archives = before
            self._mend(gap=gap)
            raise
        self._recover()

    def _mend(self, *, gap: bool) -> None:
        try:
            self._renew(lambda _name, _seconds: None, gap=gap)
        except Exception as error:
            self._fail(error)
        else:
            self._recover()

    def _recover(self) -> None:
        self._failure, self._lost, self._pause, self._again_at = "", "", _FIRST_PAUSE, 0.0

    def _renew(self, ready: Callable[[str, float], object], *, gap: bool) -> None:
        self._ill = {each: reason for each, reason in self._ill.items() if each in self._instances}
        self.fill(ready)
        for old in self._instances:
            if old not in self._instances or not (old in self._ill or old.archives != self._archives):
                continue
            # A start whose last step failed may have left one more than are wanted.
            if not gap and len(self._instances) <= self._wanted and self._has_room_beside(old):
                self._start(ready)
            if old in self._ill:  # it may never answer: what it has is asked again of the new one
                self._end(old)
            else:
                self._instances.retire(old, self._answer_seconds)
            self.fill(ready)

    def _has_room_beside(self, old: Instance) -> bool:
        """Whether another one may be started while an instance is there; if not, this one answers nobody.

        Raises:
            ServerError: There is no memory for two, and this one still answers.
        """
        try:
            memory.require_room([each.server.process.pid for each in self._instances])
        except ServerError:
            if old in self._ill and old.watch.is_dead:
                return False
            raise
        return True

    def _start(self, ready: Callable[[str, float], object]) -> None:
        begun = time.monotonic()
        instance = self._instances.start(self._archives, ready)
        self._started(instance, time.monotonic() - begun)

    def _end(self, instance: Instance) -> None:
        self._instances.end(instance)
        self._ill.pop(instance, None)

    def _fail(self, error: Exception) -> None:
        self._failure = str(error) or repr(error)
        self._again_at = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        logger.error("no new instance: %s", error, exc_info=not isinstance(error, VisionserveError))
        for each in list(self._ill):
            if each.watch.is_dead:  # clients are told to come again, rather than to wait for it
                self._end(each)
