"""A server that answers by a request's head alone, however much of its body is still to come."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

_HEAD_END = b"\r\n\r\n"


@dataclass
class Abrupt:
    """What a server answers, and what it was asked.

    Attributes:
        status: The status of the answer; 0 for none, and 200 is given when the whole body has been read.
        stays: Whether the connection is kept open, unread, where it is closed otherwise.
        answer: The JSON document of a status 200.
        headers: Further headers of each answer, a line each.
    address: Where it is.
        heads: Each request's first line and headers, as they came.
        connections: How many were opened.
    """

    status: int
    stays: bool = False
    answer: dict[str, float] = field(default_factory=lambda: {"tabby": 1.0})
    headers: str = ""
    address: str = ""
    heads: list[str] = field(default_factory=list)
    connections: int = 0


@contextmanager
def running(abrupt: Abrupt, path: str | None = None, tls: ssl.SSLContext | None = None) -> Iterator[Abrupt]:
    """Serve on a loopback port, or on a Unix socket at `path`, over TLS if a context is given."""
    with ExitStack() as ending:
        listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        ending.callback(listener.close)
        if path:
            Path(path).unlink(missing_ok=True)
        listener.bind(path or ("127.0.0.1", 0))
        listener.listen()
        port = "" if path else listener.getsockname()[1]
        abrupt.address = f"unix:{path}" if path else f"{'https' if tls else 'http'}://localhost:{port}"
        opened = ending.enter_context(ExitStack())

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    if not path:
                        # What is not sent before the end never is; servers let nothing wait.
                        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    if tls:
                        connection = tls.wrap_socket(connection, server_side=True)
                    opened.callback(connection.close)
                    abrupt.connections += 1
                    threading.Thread(target=_serve, args=(abrupt, connection), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        ending.callback(thread.join)
        ending.callback(listener.shutdown, socket.SHUT_RDWR)
        yield abrupt


def _serve(abrupt: Abrupt, connection: socket.socket) -> None:
    with suppress(OSError):
        while True:
            data = b""
            while _HEAD_END not in data:
                piece = connection.recv(1000)
                if not piece:
                    return
                data += piece
            head, body = data.split(_HEAD_END, 1)
            abrupt.heads.append(head.decode())
            if abrupt.status == 200:
                _read(connection, head, len(body))
            if abrupt.status:
                _answer(abrupt, connection)
            if abrupt.status != 200:
                if not abrupt.stays:
                    connection.close()
                return


def _read(connection: socket.socket, head: bytes, got: int) -> None:
    length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    missing = int(length[0].split(b":")[1]) - got if length else 0
    while missing > 0:
        piece = connection.recv(1 << 16)
        if not piece:
            return
        missing -= len(piece)


def _answer(abrupt: Abrupt, connection: socket.socket) -> None:
    document = abrupt.answer if abrupt.status == 200 else {"code": abrupt.status, "type": "No", "message": "no"}
    text = json.dumps(document)
    connection.sendall(
        f"HTTP/1.1 {abrupt.status} X\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n"
        f"{abrupt.headers}\r\n"
        f"{text}".encode()
    )
