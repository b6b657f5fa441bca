"""What the supervisor tells a running HAProxy, and what it asks it."""

from __future__ import annotations

import logging
import os
import re
import signal
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from visionserve.server import private_file
from visionserve.server.edge import commands, tables
from visionserve.server.edge.access import key_map
from visionserve.server.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from visionserve.server.edge.access.client_keys import Key
    from visionserve.server.edge.tables import Figures, State

logger = logging.getLogger(__name__)

# The sockets and maps by which it is told, in the folder that HAProxy runs in.
WORKER, MASTER, OWN = "worker.sock", "master.sock", "own.sock"
FACTS, KEYS = "edge.map", "keys.map"

_WORDS: Mapping[State, str] = {"up": "ready", "drain": "drain", "down": "maint"}
_FACTS: Mapping[str, int] = {"up": 0, "draining": 0, "ready": 1, "service_ms": 100, "restart_s": 5}
_OLD_SECONDS = 3.0  # that an old worker may take to answer


class Control:
    """The runtime socket of an edge.

    What it sets outlives a reload, before which facts and keys are written into the maps' files; states are kept
    here. Telling HAProxy something writes nothing, so a full disk is in nobody's way.

    Args:
        folder: Where HAProxy runs.
        slots: The names of all slots.
        facts: The `facts` of a HAProxy before it, but for how many slots are up.

    Attributes:
        states: What each slot was last told to be.
    """

    def __init__(self, folder: Path, slots: Sequence[str], facts: Mapping[str, int] | None = None) -> None:
        self._folder = folder
        self.states: dict[str, State] = dict.fromkeys(slots, "down")
        self._facts = {**_FACTS, **(facts or {}), "up": 0, **{tables.HOP + slot: 0 for slot in slots}}
        self._keys: Sequence[Key] = ()

    @property
    def facts(self) -> Mapping[str, int]:
        """What it was told of all instances together."""
        return self._facts

    def write_maps(self, keys: Sequence[Key]) -> None:
        """Write the files that HAProxy reads when it starts."""
        self._keys = keys
        private_file.write(
            self._folder / FACTS, "".join(f"{name} {value}\n" for name, value in self._facts.items()).encode()
        )
        private_file.write(self._folder / KEYS, "".join(f"{key.digest} {key.name}\n" for key in keys).encode())

    def up(self, slot: str) -> None:
        """Let a slot take requests.

        Raises:
            ServerError: There is no such slot, or HAProxy does not answer.
        """
        self._set(slot, "up")

    def drain(self, slot: str) -> None:
        """Give a slot no more requests; those that it has are answered.

        Raises:
            ServerError: There is no such slot, or HAProxy does not answer.
        """
        self._set(slot, "drain")

    def give_up(self, slot: str) -> None:
        """Give a slot no more requests, and ask those that it has of the others.

        Those too large to be asked again are refused with a time to come again.

        Raises:
            ServerError: There is no such slot, or HAProxy does not answer.
        """
        self._set(slot, "drain")
        hop = tables.HOP + slot
        commands.order(self._folder / WORKER, f"shutdown sessions server {hop}/{slot}")
        for pid in self._old():
            # There servers cannot be named any more. What its hop led on to another slot goes on.
            listed = self._ask_old(pid, "show sess")
            for session in re.findall(rf"^(0x[0-9a-f]+): .* fe={hop} be={hop} ", listed, re.MULTILINE):
                self._ask_old(pid, f"shutdown session {session}")

    def down(self, slot: str) -> None:
        """Count on a slot no longer.

        Raises:
            ServerError: There is no such slot, or HAProxy does not answer.
        """
        self._set(slot, "down")

    def set_draining(self, *, draining: bool) -> None:
        """Refuse every new request, or no longer; those that wait or are being answered are answered."""
        self._set_fact("draining", int(draining))

    def set_ready(self, *, ready: bool) -> None:
        """Say whether all is well, which is what `/readyz` tells; a server that is not may still answer."""
        self._set_fact("ready", int(ready))

    def set_service_time(self, seconds: float) -> None:
        """Say how much time a slot needs for one request more when it is busy: what waiting clients are told."""
        self._set_fact("service_ms", max(1, round(1000 * seconds)))

    def set_restart_time(self, seconds: float) -> None:
        """Say how long a new instance takes to be ready: what clients are told when there is none."""
        self._set_fact("restart_s", max(1, round(seconds)))

    def take_keys(self) -> None:
        """Take the keys that were written and no others, on the connections of before the last reloads too.

        A process that ends its last connections answers one more request on each, and must know who is revoked.

        Raises:
            ServerError: HAProxy does not answer, or refuses.
        """
        key_map.replace(lambda command: commands.ask(self._folder / WORKER, command), KEYS, self._keys)
        for pid in self._old():
            with suppress(ServerError):  # it has just ended
                key_map.replace(partial(self._ask_old, pid), KEYS, self._keys)

    def figures(self) -> Figures:
        """What the edge does now.

        Raises:
            ServerError: HAProxy does not answer.
        """
        current = commands.table(commands.ask(self._folder / WORKER, "show stat"))
        past = [self._ask_old(pid, "show stat") for pid in self._old()]
        # One that has just answered its last request and ended says nothing, or the master that it is not there.
        old = [row for said in past if commands.TABLE in said for row in commands.table(said)]
        return tables.read(current, old, tuple(self.states))

    def workers(self, *, old: bool = False) -> list[int]:
        """The process ids of HAProxy's workers: the one that takes connections, or those that end their last."""
        listed = commands.ask(self._folder / MASTER, "show proc")
        current, _, past = listed.partition("# old workers")
        return [int(pid) for pid in re.findall(r"^(\d+)\s+worker\s", past if old else current, re.MULTILINE)]

    def _ask_old(self, pid: int, command: str) -> str:
        """What a worker says that ends its last requests; nothing if it has ended.

        One that hangs is killed: the master waits for each of its answers, until it answers nobody.
        """
        try:
            return commands.ask(self._folder / MASTER, f"@!{pid} {command}", _OLD_SECONDS)
        except commands.Silent:
            logger.error("HAProxy's process %d of before a reload does not answer; it is killed", pid)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        except ServerError:  # HAProxy was killed just now
            pass
        return ""

    def _old(self) -> list[int]:
        """The workers that end their last requests; none, if nobody tells."""
        with suppress(ServerError):
            return self.workers(old=True)
        return []

    def sessions(self, slot: str) -> int:
        """The requests that a slot's instance has and has not answered."""
        self._require_slot(slot)
        return self.figures().slots[slot].sessions

    def apply(self) -> None:
        """Say again what state each slot is in, and what is so of all of them."""
        for slot, state in self.states.items():
            self._set(slot, state)
        for name, value in self._facts.items():
            self._set_fact(name, value)

    def correct(self, figures: Figures) -> None:
        """Say again what state each slot is in, if HAProxy thinks otherwise: it took a configuration late.

        Raises:
            ServerError: HAProxy does not answer.
        """
        if any(self.states[name] != slot.state for name, slot in figures.slots.items()):
            logger.warning("HAProxy thinks otherwise of instances than it was told; it is told again")
            self.apply()

    def before_reload(self) -> None:
        """Have the worker that will end its last requests send them on, where no slot is up just now.

        What they reach knows which slots take requests then, and until then all are refused.

        Raises:
            ServerError: HAProxy does not answer.
        """
        if "up" not in self.states.values():
            each = [
                f"set server {backend}/{slot} state ready" for backend in tables.BACKENDS for slot in self.states
            ]
            commands.order(self._folder / WORKER, "; ".join(each))

    def _set(self, slot: str, state: State) -> None:
        self._require_slot(slot)
        states = {**self.states, slot: state}
        up = sum(each == "up" for each in states.values())
        facts = {"up": up, tables.HOP + slot: int(state == "up")}
        said = [
            *(f"set server {backend}/{slot} state {_WORDS[state]}" for backend in tables.BACKENDS),
            *(f"set map {FACTS} {name} {value}" for name, value in facts.items()),
        ]
        commands.order(self._folder / WORKER, "; ".join(said))
        self.states = states
        self._facts |= facts
        self._tell_old("up", up)

    def _require_slot(self, slot: str) -> None:
        if slot not in self.states:
            raise ServerError(f"there is no slot {slot!r}; there are {', '.join(self.states)}")

    def _set_fact(self, name: str, value: int) -> None:
        self._facts[name] = value
        commands.order(self._folder / WORKER, f"set map {FACTS} {name} {value}")
        self._tell_old(name, value)

    def _tell_old(self, fact: str, value: int) -> None:
        """Tell those that end their last requests too: each of their connections may ask once more."""
        for pid in self._old():
            self._ask_old(pid, f"set map {FACTS} {fact} {value}")
