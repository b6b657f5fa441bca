"""What an edge does now, from the tables of HAProxy's statistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from visionserve.server.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

State = Literal["up", "drain", "down"]

# Where slots are, one for each kind of request.
BACKENDS = ("predictions", "uploads")
# What the name of the hop before a slot's instance begins with.
HOP = "instance_"

_STATUSES: Mapping[str, State] = {"no check": "up", "DRAIN": "drain", "MAINT": "down"}


@dataclass(frozen=True)
class SlotFigures:
    """What a slot has done and does, old HAProxy processes that end their last requests included.

    Attributes:
        sessions: The requests that its instance has and has not answered, whichever slot they were meant for.
        served: The requests it was given, since HAProxy was started or reloaded.
        state: What HAProxy thinks of it.
    """

    sessions: int
    served: int
    state: State


@dataclass(frozen=True)
class Figures:
    """What the edge does.

    Attributes:
        slots: Each slot by its name.
        under_way: The requests that are here and not answered; of large ones, those whose bodies come.
        queue: Those of them that wait for an instance.
        connections: The clients' open connections.
    """

    slots: Mapping[str, SlotFigures]
    under_way: int
    queue: int
    connections: int


def read(current: list[dict[str, str]], old: list[dict[str, str]], slots: Sequence[str]) -> Figures:
    """What an edge does.

    Args:
        current: The rows of the worker that takes connections.
        old: Those of the workers that end their last requests.
        slots: The names of all slots.

    Raises:
        ServerError: A row is missing: HAProxy was killed while it wrote.
    """

    def total(
        column: str, name: str, proxies: Sequence[str] = BACKENDS, rows: Sequence[dict[str, str]] = ()
    ) -> int:
        return sum(
            int(row[column] or 0)
            for row in rows or (*current, *old)
            if row["pxname"] in proxies and row["svname"] == name
        )

    if missing := [slot for slot in slots if slot not in {row["svname"] for row in current}]:
        raise ServerError(f"HAProxy's statistics are cut short: they lack {missing[0]}")  # it was killed just then
    states = {
        row["svname"]: _STATUSES[row["status"]]
        for row in current
        if row["pxname"] == BACKENDS[0] and row["svname"] in slots
    }
    return Figures(
        slots={
            slot: SlotFigures(
                sessions=sum(total(column, slot, (HOP + slot,)) for column in ("scur", "qcur")),
                served=total("stot", slot, rows=current),
                state=states[slot],
            )
            for slot in slots
        },
        under_way=total("scur", "BACKEND"),
        queue=total("qcur", "BACKEND"),
        connections=total("scur", "FRONTEND", ("clients",)),
    )
