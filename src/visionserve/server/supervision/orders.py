"""How other commands speak to the supervisor: a line of JSON each way over a socket in its run folder."""

from __future__ import annotations

import json
import queue
import socket
import socketserver
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from visionserve.runtime.errors import VisionserveError
from visionserve.server.errors import ServerError
from visionserve.server.supervision.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

# What can be ordered.
STATUS, RELOAD, READ_AGAIN = "status", "reload", "read again"

_LONGEST = 1 << 20  # bytes of an order
_ANSWERED = 10.0  # seconds within which the supervisor says what it does


class Orders:
    """Takes orders in threads of its own, until it is closed.

    Args:
        path: The socket, in a folder that only this user can enter.
        obey: Does what an order says and tells what came of it; may raise a `VisionserveError`.
    """

    def __init__(self, path: Path, obey: Callable[[dict[str, Any]], Iterator[dict[str, Any]]]) -> None:
        class _Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                try:
                    for document in obey(_read(self.rfile.readline(_LONGEST))):
                        self._say(document)
                    self._say({"done": True})
                except VisionserveError as error:
                    self._say({"error": str(error)})

            def _say(self, document: dict[str, Any]) -> None:
                with suppress(OSError):  # whoever ordered it may have gone; it is done all the same
                    self.wfile.write(json.dumps(document).encode() + b"\n")

        class _Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

        self._server = _Server(str(path), _Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True, name="orders").start()

    def close(self) -> None:
        """Take no more."""
        self._server.shutdown()
        self._server.server_close()


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


def read_again(path: Path) -> None:
    """Have keys and certificate read anew, and wait until they are.

    Raises:
        ServerError: Nobody takes orders, or one of them cannot be read.
    """
    for _ in _give(path, {"order": READ_AGAIN}):
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
            raise ServerError(f"the server does not answer within {seconds:g} s at {path}") from error
        except (OSError, ValueError):  # it was killed, perhaps within a line
            pass
    raise ServerError("the server ended before it had done that")


def _read(line: bytes) -> dict[str, Any]:
    """An order as it was sent.

    Raises:
        ServerError: It is none.
    """
    try:
        order = json.loads(line)
    except (ValueError, RecursionError):
        order = None
    if not isinstance(order, dict):
        raise ServerError(f"{line[:80]!r} is no order: it must be a JSON object in one line")
    return order


def carried_out(
    events: queue.SimpleQueue[Callable[[], None]], work: Callable[[Callable[[dict[str, Any]], None]], None]
) -> Iterator[dict[str, Any]]:
    """Have another thread do some work, and yield what the work tells meanwhile.

    Args:
        events: What that thread does next.
        work: Called there with a function by which it tells how it goes.

    Raises:
        VisionserveError: The work could not be done, or that thread ends.
    """
    told: queue.SimpleQueue[dict[str, Any] | VisionserveError | None] = queue.SimpleQueue()

    def do() -> None:
        end: VisionserveError | None = ServerError("the server was asked to end")
        try:
            work(told.put)
            end = None
        except VisionserveError as error:
            end = error
        except Exception as error:
            end = ServerError(f"it failed: {error!r}; logs/supervisor.log has more")
            raise
        finally:
            told.put(end)

    events.put(do)
    while (document := told.get()) is not None:
        if isinstance(document, VisionserveError):
            raise document
        yield document
