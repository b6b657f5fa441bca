"""How the supervisor takes other commands' orders, and has its own thread carry them out."""

from __future__ import annotations

import json
import logging
import queue
import socketserver
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from visionserve.runtime.errors import VisionserveError
from visionserve.server.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

logger = logging.getLogger(__name__)

_LONGEST = 1 << 20  # bytes of an order


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
        except Exception as error:  # what nobody thought of ends nothing that the thread does beside it
            end = ServerError(f"it failed: {error!r}; logs/supervisor.log has more")
            logger.exception("an order could not be carried out")
        finally:
            told.put(end)

    events.put(do)
    while (document := told.get()) is not None:
        if isinstance(document, VisionserveError):
            raise document
        yield document
