"""A keep-alive connection of the load generator: bytes out, an HTTP answer in, nothing looked at in between."""

from __future__ import annotations

import selectors
import socket
import time
from dataclasses import dataclass

_CHUNK = 1 << 16


@dataclass
class Exchange:
    """One request and what came of it: an HTTP status and body, or a cause with status 0."""

    picture: int
    sent: float
    received: float = 0.0
    status: int = 0
    body: bytes = b""


class Connection:
    """One keep-alive connection with at most one request under way."""

    def __init__(self, port: int, selector: selectors.BaseSelector) -> None:
        self._port = port
        self._selector = selector
        self._connect()

    def _connect(self) -> None:
        self._socket = socket.create_connection(("127.0.0.1", self._port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self._selector.register(self._socket, selectors.EVENT_READ, self)

    def ask(self, exchange: Exchange, data: bytes) -> None:
        """Send a request, or as much of it as the socket takes now."""
        self.exchange = exchange
        self._unsent = memoryview(data)
        self._received = bytearray()
        self._send()

    def on_event(self, mask: int) -> bool:
        """Move bytes; true when the exchange is over."""
        try:
            if mask & selectors.EVENT_WRITE:
                self._send()
            return bool(mask & selectors.EVENT_READ) and self._receive()
        except OSError as error:
            return self._broken(type(error).__name__)

    def close(self) -> None:
        """Leave."""
        self._selector.unregister(self._socket)
        self._socket.close()

    def _send(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            pass
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
        if self._selector.get_key(self._socket).events != wanted:
            self._selector.modify(self._socket, wanted, self)

    def _receive(self) -> bool:
        data = self._socket.recv(_CHUNK)
        if not data:
            return self._broken("closed by the server")
        self._received += data
        head, blank, body = bytes(self._received).partition(b"\r\n\r\n")
        if not blank:
            return False
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        if b"content-length" not in fields:
            return self._broken("no Content-Length")
        if len(body) < int(fields[b"content-length"]):
            return False
        self.exchange.received = time.perf_counter()
        self.exchange.status = int(head.split(b" ", 2)[1])
        self.exchange.body = body
        if fields.get(b"connection") == b"close":
            self._reconnect()
        return True

    def _broken(self, cause: str) -> bool:
        self.exchange.received = time.perf_counter()
        self.exchange.body = cause.encode()
        self._reconnect()
        return True

    def _reconnect(self) -> None:
        self.close()
        self._connect()
