"""The instances of a server: each is started in a free slot, proven, opened to clients, retired, ended."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from visionserve.runtime.errors import VisionserveError
from visionserve.server import store
from visionserve.server.errors import ServerError
from visionserve.server.instance import health, question
from visionserve.server.supervision.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from visionserve.server.edge.configuration import Slot
    from visionserve.server.edge.control import Control
    from visionserve.server.instance.launcher import TorchServe
    from visionserve.server.supervision.setup import Setup

logger = logging.getLogger(__name__)

_POLL = 0.1  # seconds
_HEARD = 30.0  # seconds within which an edge that was killed or hangs is there again


@dataclass(eq=False)
class Instance:
    """A TorchServe in a slot.

    Attributes:
        slot: Where the edge finds it.
        server: The TorchServe.
        archives: The .mar file of each model, that it was started from.
        watch: What watches it; it has been proven.
        is_aside: Whether its requests go to others until it has workers again.
        is_leaving: Whether it gets no more requests, for good.
    """

    slot: Slot
    server: TorchServe
    archives: Mapping[str, Path]
    watch: Watch
    is_aside: bool = False
    is_leaving: bool = False


class Instances:
    """Those that serve now.

    Args:
        slots: Where instances can be; one more than there are instances, so that one can take another's place.
        setup: How they are started.
        control: Gives the edge's, which leads clients to them.
        look: Called while there is nothing to do but to wait; may raise to end the waiting.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        setup: Setup,
        control: Callable[[], Control],
        look: Callable[[], None],
    ) -> None:
        self._slots, self._setup, self._control = slots, setup, control
        self._look = look
        self._all: list[Instance] = []

    def __iter__(self) -> Iterator[Instance]:
        return iter(list(self._all))

    def __len__(self) -> int:
        return len(self._all)

    def __contains__(self, instance: Instance) -> bool:
        return instance in self._all

    def start(self, archives: Mapping[str, Path], ready: Callable[[str, float], object]) -> Instance:
        """Start one in a free slot, prove all of its models, and lead clients to it.

        Args:
            archives: The .mar file of each model.
            ready: Called with the name of each model that is proven, and the seconds that took.

        Raises:
            ServerError: It cannot be had, or an archive is not what was built.
        """
        taken = {instance.slot.name for instance in self._all}
        slot = next((slot for slot in self._slots if slot.name not in taken), None)
        if slot is None:
            raise ServerError(f"all {len(self._slots)} slots are taken")
        for archive in archives.values():
            question.ask(partial(_require_undamaged, archive), self._look)
        server = self._setup.start(slot.name, archives)
        try:
            for name, seconds in health.wait_until_ready(server, self._setup.timeout, self._look):
                ready(name, seconds)
            instance = Instance(slot, server, archives, Watch(server, self._setup.answer_seconds))
        except BaseException:
            server.stop(at_once=True)
            raise
        self._all.append(instance)
        try:
            self._open(instance)
        except BaseException:
            self.end(instance)
            raise
        logger.info("instance %s serves", slot.name)
        return instance

    def _open(self, instance: Instance) -> None:
        """Lead clients to an instance; where the edge does not hear it, it is looked after, and told again.

        Raises:
            ServerError: The edge has not heard it for a while.
        """
        end = time.monotonic() + _HEARD
        while True:
            try:
                self._control().up(instance.slot.name)
                return
            except ServerError:
                if time.monotonic() > end:
                    raise
            self._look()
            time.sleep(_POLL)

    @property
    def open_slots(self) -> list[str]:
        """The slots whose instances take requests."""
        return [each.slot.name for each in self._all if not each.is_aside and not each.is_leaving]

    def lead(self) -> None:
        """Lead clients to those that are best off: while one is well, not to one that is ill or has no worker.

        TorchServe keeps requests until its worker is back, which takes as long as a start, or longer.

        Raises:
            ServerError: The edge does not answer. What it was not told, it is told the next time.
        """
        control = self._control()
        staying = [each for each in self._all if not each.is_leaving]
        best = min(map(_ailment, staying), default=0)
        for each in staying:
            slot, aside = each.slot.name, _ailment(each) > best
            if aside == each.is_aside and control.states[slot] == ("drain" if aside else "up"):
                continue
            (control.give_up if aside else control.up)(slot)
            if aside != each.is_aside:
                logger.warning("instance %s %s", slot, "is passed over" if aside else "is asked again")
            each.is_aside = aside
        # What the edge did not hear when they left.
        for each in self._all:
            if each.is_leaving and control.states[each.slot.name] == "up":
                control.drain(each.slot.name)
        taken = {each.slot.name for each in self._all}
        for slot, state in list(control.states.items()):
            if slot not in taken and state != "down":
                control.down(slot)

    def retire(self, instance: Instance, seconds: float) -> None:
        """Give an instance no more requests, wait for the answers to those that it has, and end it.

        Args:
            instance: The instance.
            seconds: The longest to wait.
        """
        instance.is_leaving = True
        # A HAProxy that died just now has no requests for it, and the next one is started without it.
        with suppress(ServerError):
            self._control().drain(instance.slot.name)
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end and self._sessions(instance):
                self._look()
                time.sleep(_POLL)
        except Exception:  # whatever went wrong elsewhere, it has no more requests to come
            logger.exception("instance %s ends sooner than it should", instance.slot.name)
        self.end(instance)

    def _sessions(self, instance: Instance) -> int:
        """The requests that an instance has; some, where nobody can tell just now."""
        try:
            return self._control().sessions(instance.slot.name)
        except ServerError:
            return 1

    def end(self, instance: Instance) -> None:
        """End an instance; what it has is asked again of the others."""
        if instance not in self._all:
            return
        instance.is_leaving = True
        with suppress(ServerError):  # as in `retire`
            self._control().down(instance.slot.name)
        self._all.remove(instance)
        instance.watch.end()
        instance.server.stop(at_once=True)
        logger.info("instance %s has ended", instance.slot.name)

    def end_all(self) -> None:
        """End all of them."""
        with ExitStack() as ending:  # one that cannot be ended leaves the others' end to them
            for instance in self:
                ending.callback(self.end, instance)


def _require_undamaged(archive: Path) -> None:
    """Check the server's own copy of an archive.

    Raises:
        ServerError: It is not what was built.
    """
    try:
        store.require_undamaged(archive)
    except VisionserveError as error:
        raise ServerError(
            f"{error}. That is the server's own copy: 'visionserve reload' takes that of the model store anew"
        ) from error


def _ailment(instance: Instance) -> int:
    """How badly off it is: 0 is well, 1 ill, 2 without a worker for some model."""
    return 2 if instance.watch.is_dead else int(instance.watch.reason is not None)
