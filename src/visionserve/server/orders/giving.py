"""How another command has the supervisor do something: a line of JSON each way over a socket in its run folder."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

from visionserve.server.errors import ServerError
from visionserve.server.orders.status import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# What can be ordered.
STATUS, RELOAD, RELOAD_KEYS = "status", "reload", "reload keys"

_ANSWERED = 10.0  # seconds within which the supervisor says what it does


def status(path: Path) -> Status:
    """Ask what the supervisor does.

    Raises:
        ServerError: Nobody takes orders, or nobody answers.
    """
    (document,) = _give(path, {"order": STATUS}, _ANSWERED)
    return Status.read(document)


def reload(path: Path, models: Sequence[str], *, gap: bool) -> Iterator[tuple[str, float]]:
    """Have the archives that are in the model store now served, and wait until they are.

    Args:
        path: The socket.
        models: Their models; without any, all that are served.
        gap: Whether an old instance ends before the new one starts, for lack of memory.

    Yields:
        Each model's name when it is proven, and the seconds that took.

    Raises:
        ServerError: Nobody takes orders, or an archive cannot be served.
    """
    for said in _give(path, {"order": RELOAD, "models": list(models), "gap": gap}):
        yield said["model"], said["seconds"]


def reload_keys(path: Path) -> None:
    """Have keys and certificate read anew, and wait until they are.

    Raises:
        ServerError: Nobody takes orders, or one of them cannot be read.
    """
    for _ in _give(path, {"order": RELOAD_KEYS}):
        pass


def _give(path: Path, order: dict[str, Any], seconds: float | None = None) -> Iterator[dict[str, Any]]:
    """Give an order, and yield what the supervisor says to it.

    Args:
        path: The socket.
        order: The order.
        seconds: The longest that its next word may take; without it, for ever.

    Raises:
        ServerError: Nobody takes it, or it cannot be done.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(seconds)
        try:
            connection.connect(str(path))
        except OSError as error:
            raise ServerError(f"the server does not take orders at {path}: {error.strerror}") from error
        connection.sendall(json.dumps(order).encode() + b"\n")
        try:
            with connection.makefile("r", encoding="utf-8") as lines:
                for line in lines:
                    document: dict[str, Any] = json.loads(line)
                    if "error" in document:
                        raise ServerError(str(document["error"]))
                    if "done" in document:
                        return
                    yield document
        except TimeoutError as error:
            raise ServerError(
                f"the server does not answer within {seconds:g} s at {path}; if that stays so, 'visionserve stop'"
                " ends it, or says how"
            ) from error
        except (OSError, ValueError):  # it was killed, perhaps within a line
            pass
    raise ServerError("the server ended before it had done that")
