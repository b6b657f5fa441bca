"""The keys that a running HAProxy knows, all of them exchanged at once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from visionserve.server.edge import commands
from visionserve.server.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from visionserve.server.edge.access.client_keys import Key


def replace(ask: Callable[[str], str], name: str, keys: Sequence[Key]) -> None:
    """Have one process know these keys and no others; where that fails, it knows those of before.

    Args:
        ask: Gives it a command, and returns what it says.
        name: The map.
        keys: The keys.

    Raises:
        ServerError: It does not answer, or refuses.
    """
    prepared = ask(f"prepare map {name}")
    version = re.search(r"New version created: (\d+)", prepared)
    if version is None:
        raise ServerError(f"HAProxy refused new keys: {' '.join(prepared.split())}")
    for key in keys:
        commands.require_silence(ask(f"add map @{version[1]} {name} {key.digest} {key.name}"))
    commands.require_silence(ask(f"commit map @{version[1]} {name}"))
