"""What a service manager is told: `sd_notify(3)`'s datagrams, where the environment names a socket for them."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

_SOCKET = "NOTIFY_SOCKET"
_TAKEN = 1.0  # seconds that a manager may take to make room for a datagram; one that reads none holds nothing up


def tell(*states: str) -> None:
    """Tell the service manager that started this process, if one did: `READY=1`, `STOPPING=1`, `STATUS=...`."""
    address = os.environ.get(_SOCKET)
    if not address:
        return
    if address.startswith("@"):  # in Linux's abstract namespace
        address = "\0" + address[1:]
    # A manager that is gone is no reason to end.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as told, suppress(OSError):
        told.settimeout(_TAKEN)
        told.sendto("\n".join(states).encode(), address)
