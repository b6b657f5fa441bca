"""What the supervisor tells a running HAProxy, and what it asks it."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

from visionserve.server import private_file
from visionserve.server.edge import commands, configuration, statistics
from visionserve.server.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from visionserve.server.edge.access.client_keys import Key
    from visionserve.server.edge.statistics import Figures, State

# The sockets and maps by which it is told, in the folder that HAProxy runs in.
WORKER, MASTER, OWN = "worker.sock", "master.sock", "own.sock"
FACTS, KEYS = "edge.map", "keys.map"

_WORDS: Mapping[State, str] = {"up": "ready", "drain": "drain", "down": "maint"}
_FACTS: Mapping[str, int] = {"up": 0, "draining": 0, "ready": 1, "service_ms": 100, "restart_s": 5}
_OLD_SECONDS = 1.0  # that an old worker may take to answer: it ends soon anyway


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
        self._facts = {**_FACTS, **(facts or {}), "up": 0, **{configuration.HOP + slot: 0 for slot in slots}}
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
        cut = f"shutdown sessions server {configuration.HOP}{slot}/{slot}"
        commands.order(self._folder / WORKER, cut)
        for pid in self.workers(old=True):
            # There servers cannot be named any more.
            listed = self._ask_old(pid, "show sess")
            for session in re.findall(rf"^(0x[0-9a-f]+): .* fe={configuration.HOP}{slot} ", listed, re.MULTILINE):
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
        self._tell_keys(self._folder / WORKER, "")
        for pid in self.workers(old=True):
            with suppress(ServerError):  # it has just ended
                self._tell_keys(self._folder / MASTER, f"@!{pid} ")

    def _tell_keys(self, socket: Path, to: str) -> None:
        prepared = commands.ask(socket, f"{to}prepare map {KEYS}")
        version = re.search(r"New version created: (\d+)", prepared)
        if version is None:
            raise ServerError(f"HAProxy refused new keys: {' '.join(prepared.split())}")
        for key in self._keys:
            commands.order(socket, f"{to}add map @{version[1]} {KEYS} {key.digest} {key.name}")
        commands.order(socket, f"{to}commit map @{version[1]} {KEYS}")

    def figures(self) -> Figures:
        """What the edge does now.

        Raises:
            ServerError: HAProxy does not answer.
        """
        current = commands.table(commands.ask(self._folder / WORKER, "show stat"))
        past = [self._ask_old(pid, "show stat") for pid in self.workers(old=True)]
        # One that has just answered its last request and ended says nothing, or the master that it is not there.
        old = [row for said in past if commands.TABLE in said for row in commands.table(said)]
        return statistics.read(current, old, tuple(self.states))

    def workers(self, *, old: bool = False) -> list[int]:
        """The process ids of HAProxy's workers: the one that takes connections, or those that end their last."""
        listed = commands.ask(self._folder / MASTER, "show proc")
        current, _, past = listed.partition("# old workers")
        return [int(pid) for pid in re.findall(r"^(\d+)\s+worker\s", past if old else current, re.MULTILINE)]

    def _ask_old(self, pid: int, command: str) -> str:
        """What a worker says that ends its last requests; nothing if it has ended, or hangs."""
        with suppress(ServerError):
            return commands.ask(self._folder / MASTER, f"@!{pid} {command}", _OLD_SECONDS)
        return ""

    def sessions(self, slot: str) -> int:
        """The requests that a slot's instance has and has not answered."""
        self._require_slot(slot)
        return self.figures().slots[slot].sessions

    def apply(self) -> None:
        """Say again what state each slot is in."""
        for slot, state in self.states.items():
            self._set(slot, state)

    def _set(self, slot: str, state: State) -> None:
        self._require_slot(slot)
        states = {**self.states, slot: state}
        up = sum(each == "up" for each in states.values())
        facts = {"up": up, configuration.HOP + slot: int(state == "up")}
        said = [
            *(f"set server {backend}/{slot} state {_WORDS[state]}" for backend in statistics.BACKENDS),
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
        for pid in self.workers(old=True):
            self._ask_old(pid, f"set map {FACTS} {fact} {value}")
