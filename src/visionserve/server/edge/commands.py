"""HAProxy's own command line, over a Unix socket."""

from __future__ import annotations

import contextlib
import csv
import io
import socket
from typing import TYPE_CHECKING

from visionserve.server.errors import ServerError

if TYPE_CHECKING:
    from pathlib import Path

# What a table begins with.
TABLE = "# pxname"

_SECONDS = 10.0
_PIECE = 65536  # bytes


class Silent(ServerError):
    """HAProxy takes commands, and does not answer one in time."""


def ask(path: Path, command: str, seconds: float = _SECONDS) -> str:
    """Give one command, or several with `;` between, and take what is said.

    Raises:
        Silent: The answer does not come in time.
        ServerError: Nobody listens.
    """
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
        connection.settimeout(seconds)
        try:
            connection.connect(str(path))
            connection.sendall(f"{command}\n".encode())
            connection.shutdown(socket.SHUT_WR)  # the master waits for more otherwise
            pieces = []
            while piece := connection.recv(_PIECE):
                pieces.append(piece)
        except TimeoutError as error:
            raise Silent(f"HAProxy does not answer at {path} within {seconds:g} s") from error
        except OSError as error:
            raise ServerError(f"HAProxy does not answer at {path}: {error}") from error
    return b"".join(pieces).decode("utf-8", "replace")


def order(path: Path, command: str) -> None:
    """Give commands that say nothing when they succeed.

    Raises:
        ServerError: One of them failed, or nobody listens.
    """
    require_silence(ask(path, command), command)


def require_silence(said: str, command: str = "it") -> None:
    """Check what is said to commands that say nothing when they succeed.

    Raises:
        ServerError: One of them failed.
    """
    if words := " ".join(said.split()):
        raise ServerError(f"HAProxy refused '{command.splitlines()[0]}': {words}")


def table(text: str) -> list[dict[str, str]]:
    """What `show stat` says, a row for each frontend, backend and server.

    Raises:
        ServerError: It is no table.
    """
    start = text.find(TABLE)
    if start < 0:
        raise ServerError(f"HAProxy's statistics cannot be read: {text[:80]!r}")
    lines = [line for line in text[start + 2 :].splitlines() if "," in line]
    return list(csv.DictReader(io.StringIO("\n".join(lines))))
