"""An instance that is none: a small HTTP server on a Unix socket, which does what the model's name says."""

from __future__ import annotations

import json
import re
import socketserver
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from visionserve.runtime.wire.responses import BATCH_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Backend:
    """What an instance got, and how it behaves.

    Attributes:
        seen: All requests, in their order.
        failing: For so many requests more it does what `failure` says.
        failure: A status to answer, or `hang up`.
        busy: The seconds that each request keeps one of its workers.
        free: As many workers as it has.
        document: What it answers; without it, what it was asked.
    """

    name: str
    seen: list[Seen] = field(default_factory=list)
    failing: int = 0
    failure: str = "hang up"
    busy: float = 0.0
    answered: int = 0
    free: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(1))
    lock: threading.Lock = field(default_factory=threading.Lock)
    document: dict[str, float] | None = None

    def fails(self) -> bool:
        with self.lock:
            self.failing -= 1
            return self.failing >= 0


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 512
    backend: Backend

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is none."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_one_request(self) -> None:
        with suppress(ConnectionError):
            super().handle_one_request()

    def do_POST(self) -> None:
        backend = self.server.backend
        body = self._body()
        backend.seen.append(Seen(self.command, self.path, dict(self.headers.items()), body))
        if backend.fails():
            if backend.failure == "hang up":
                self.close_connection = True
                return
            self._answer(int(backend.failure), b'{"code":1,"type":"Worker","message":"died"}')
            return
        sleep = re.search(r"sleep-(\d+)", self.path)
        if sleep is not None:
            time.sleep(int(sleep[1]) / 1000)
        if backend.busy:
            with backend.free:
                time.sleep(backend.busy)
        backend.answered += 1
        status = re.search(r"status-(\d+)", self.path)
        if status is not None:
            told = b"" if "empty" in self.path else b'{"type":"Told"}'
            self._answer(int(status[1]), told, {BATCH_SIZE: "1"} if told else {})
            return
        asked: dict[str, Any] = {"slot": backend.name, "path": self.path, "bytes": len(body)}
        document = backend.document or asked
        self._answer(200, json.dumps(document).encode())

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if body:
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status >= 400:
            self.send_header("Connection", "close")  # as TorchServe does
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "edge"

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def listening(path: Path, name: str = "a") -> Iterator[Backend]:
    """A backend that answers at a Unix socket while the context lasts."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    server = _Server(str(path), _Handler)
    server.backend = Backend(name)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server.backend
    finally:
        server.shutdown()
        server.server_close()
        path.unlink(missing_ok=True)
