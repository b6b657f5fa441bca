"""Connections to a server: over TCP, TLS or a Unix socket, and such that hear an answer while they still send.

A server may refuse a request of 20 MB by its first lines (a wrong key, too large, too many), answer at once and
close. Whoever sends on to the end meets a broken pipe, and may lose the answer that has long been there.
"""

from __future__ import annotations

import socket
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import LocationParseError, NewConnectionError

UNIX = "unix:"  # before the path of a Unix socket, as TorchServe writes it
_PIECE = 1 << 16  # bytes; what is smaller is sent at once


class _Listening(HTTPConnection):
    """Over TCP; stops sending when the answer comes.

    urllib3 reads the answer where sending ends in a `BrokenPipeError`; so that is what an early one is here.
    """

    _awaited = EVENT_READ | EVENT_WRITE
    _cut_short = False

    def send(self, data: Any) -> None:
        """Send some of a request.

        Raises:
            BrokenPipeError: An answer is there, or nobody is there any more.
            TimeoutError: Nothing was taken and nothing answered for as long as an answer may take.
        """
        if not isinstance(data, bytes) or self.sock is None:
            super().send(data)
            return
        rest = memoryview(data)
        try:
            if len(rest) <= _PIECE:
                super().send(data)
                return
            while rest:
                if self._is_answered():
                    raise BrokenPipeError
                rest = rest[self.sock.send(rest[:_PIECE]) :]
        except TimeoutError:
            raise
        except OSError as error:
            self._cut_short = True
            raise BrokenPipeError from error

    @property
    def is_connected(self) -> bool:
        """Whether the next request may use this connection: not after half of one."""
        return not self._cut_short and super().is_connected

    def close(self) -> None:
        """Close the connection; the next one is another."""
        super().close()
        self._cut_short = False

    def _is_answered(self) -> bool:
        """Wait until more can be sent or an answer comes, and say whether it did."""
        with DefaultSelector() as selector:
            selector.register(self.sock, self._awaited)
            ready = selector.select(self.sock.gettimeout())
        if not ready:
            raise TimeoutError
        return bool(ready[0][1] & EVENT_READ)


class _TlsConnection(_Listening, HTTPSConnection):
    """Over TLS, where what comes may be no answer but a ticket for the next session: so the end is waited for."""

    _awaited = EVENT_WRITE


class _UnixConnection(_Listening):
    """Over a Unix socket."""

    def __init__(self, path: str, **options: Any) -> None:
        super().__init__("localhost", **options)
        self._path = path

    def _new_conn(self) -> socket.socket:
        opened = socket.socket(socket.AF_UNIX)
        try:
            opened.settimeout(self.timeout)
            opened.connect(self._path)
        except OSError as error:
            opened.close()
            raise NewConnectionError(self, f"{self._path}: {error.strerror or error}") from error
        return opened


class _TcpPool(HTTPConnectionPool):
    ConnectionCls = _Listening


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _UnixPool(HTTPConnectionPool):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", maxsize=1)
        self._path = path

    def _new_conn(self) -> _UnixConnection:
        return _UnixConnection(self._path, timeout=self.timeout.connect_timeout)


def open_pool(address: str) -> tuple[HTTPConnectionPool, str]:
    """Connections to an address, none of them open yet, and the path that is before every other there.

    Args:
        address: `http://HOST:PORT`, `https://HOST:PORT`, each perhaps with a path, or `unix:/PATH`. Certificates
            are checked by the system's authorities, or those of the file that `SSL_CERT_FILE` in the environment
            names.

    Raises:
        ValueError: It is none.
    """
    if address.startswith(UNIX):
        path = address.removeprefix(UNIX)
        if not path.startswith("/"):
            raise ValueError(address)
        return _UnixPool(path), ""
    try:
        url = urllib3.util.parse_url(address)
    except LocationParseError as error:
        raise ValueError(address) from error
    pools = {"http": _TcpPool, "https": _TlsPool}
    if url.scheme not in pools or not url.host or url.auth or url.query or url.fragment:
        raise ValueError(address)
    return pools[url.scheme](url.host, url.port, maxsize=1), (url.path or "").rstrip("/")
