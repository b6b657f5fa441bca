"""As many instances as are wanted, all from the same archives: what is lacking, ill or out of date is replaced."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from visionserve.runtime.errors import VisionserveError

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
        drain_seconds: The longest to wait for the answers of one that is ended.
        started: Called with each that serves, and the seconds that it took.
    """

    def __init__(
        self,
        instances: Instances,
        wanted: int,
        archives: Mapping[str, Path],
        drain_seconds: float,
        started: Callable[[Instance, float], None],
    ) -> None:
        self._instances, self._wanted, self._archives = instances, wanted, archives
        self._drain_seconds, self._started = drain_seconds, started
        self._pause, self._again_at = _FIRST_PAUSE, 0.0
        self.trouble = ""
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

    def fill(self, ready: Callable[[str, float], object] = lambda _name, _seconds: None) -> None:
        """Start what is lacking.

        Args:
            ready: Called with the name of each model that is proven, and the seconds that took.

        Raises:
            VisionserveError: One cannot be had.
        """
        while len(self._instances) < self._wanted:
            self._start(ready)

    def mend(self, *, gap: bool = False) -> None:
        """Start what is lacking and replace what is out of date; where that fails, try again after a while.

        Args:
            gap: Whether what is out of date ends before another takes its place, for lack of memory.
        """
        try:
            self._renew(lambda _name, _seconds: None, gap=gap)
            self.trouble = ""
        except VisionserveError as error:
            self._fail(error)

    def try_again(self) -> None:
        """Mend, if that failed before and its time has come."""
        if self.trouble and time.monotonic() > self._again_at:
            self.mend()

    def replace(self, instance: Instance, reason: str, *, is_wrong: bool) -> None:
        """Put a new instance in the place of one that is ill.

        Args:
            instance: The instance.
            reason: What is wrong with it.
            is_wrong: Whether it answers wrongly.
        """
        if instance not in self._instances:
            return
        self.count(instance, reason)
        if is_wrong:  # no client is told so any more, even if nobody else is there
            self._instances.close(instance)
        try:
            self._start(lambda _name, _seconds: None)
        except VisionserveError as error:
            self._fail(error)
        # What it has is asked again of the new one, for an ill one may never answer.
        self._instances.end(instance)

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
        except VisionserveError:
            self._archives = before
            self.mend(gap=gap)
            raise

    def count(self, instance: Instance, reason: str) -> None:
        """Keep why an instance is replaced."""
        logger.error("instance %s is replaced: %s", instance.slot.name, reason)
        self.causes[reason] = self.causes.get(reason, 0) + 1

    def _renew(self, ready: Callable[[str, float], object], *, gap: bool) -> None:
        self.fill(ready)
        for old in self._instances:
            if old.archives == self._archives or old not in self._instances:
                continue
            if gap:
                self._instances.retire(old, self._drain_seconds)
                self.fill(ready)
            else:
                self._start(ready)
                self._instances.retire(old, self._drain_seconds)

    def _start(self, ready: Callable[[str, float], object]) -> None:
        begun = time.monotonic()
        instance = self._instances.start(self._archives, ready)
        self.trouble, self._pause = "", _FIRST_PAUSE
        self._started(instance, time.monotonic() - begun)

    def _fail(self, error: Exception) -> None:
        self.trouble = str(error)
        self._again_at = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        logger.error("no new instance: %s", error)
