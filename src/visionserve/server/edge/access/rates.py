"""How often each key has asked lately: the counts by which HAProxy refuses, which a new process has none of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from visionserve.server.edge import commands

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_COUNT = re.compile(r"key=(\S+) .*gpc0_rate\(\d+\)=(\d+)")


def read(socket: Path) -> dict[str, int]:
    """The requests of each key's name; none, where keys have no limit.

    Raises:
        ServerError: HAProxy does not answer.
    """
    return {name: int(count) for name, count in _COUNT.findall(commands.ask(socket, "show table rates"))}


def write(socket: Path, counts: Mapping[str, int]) -> None:
    """Count on from there.

    Raises:
        ServerError: HAProxy does not answer, or counts nothing.
    """
    for name, count in counts.items():
        commands.order(socket, f"set table rates key {name} data.gpc0_rate {count}")
