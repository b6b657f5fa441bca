"""The load generator: one process, one thread, C clients that each wait for their answer before they ask again.

It shares the machine's cores with the server, so it does as little as it can: requests are made before the clock
starts, answers are read after it has stopped, and in between it only moves bytes. A job comes as JSON on standard
input, the tally goes out as JSON on standard output.
"""

from __future__ import annotations

import base64
import json
import selectors
import socket
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

Form = Literal["body", "base64"]

# A window that saw fewer answers is made longer by itself, at most this many times.
_FEWEST = 40
_LONGEST = 3
_GIVE_UP = 180.0  # seconds that the last answers may take
_CHUNK = 1 << 16
_SHOWN = 3


@dataclass(frozen=True)
class Job:
    """What to send where.

    Attributes:
        port: The server's, on loopback.
        target: The path of the URL.
        form: The picture as the body, or as base64 in `{"image_data": ...}`.
        pictures: Files to send in turn.
        answers: The right label of each.
        labels: The model's labels, for servers that answer with an index.
        clients: How many ask at once.
        warm_up: Seconds before the window.
        seconds: The length of the window.
    """

    port: int
    target: str
    form: Form
    pictures: list[str]
    answers: list[str]
    labels: list[str]
    clients: int
    warm_up: float
    seconds: float


@dataclass
class Tally:
    """What came back.

    Attributes:
        answers: Answers that came within the window.
        seconds: The window's length.
        rate: Answers a second.
        p50: Milliseconds from the first byte sent to the last byte received, of the answers in the window.
        p90: The same, 90th percentile.
        p99: The same, 99th percentile.
        checked: Answers looked at, those before and after the window included.
        wrong: Answers with another label on top than the right one.
        errors: Everything else that was no answer, by its status or cause.
        examples: The first wrong answers and errors.
        generator_cpu: This process's CPU seconds within the window.
    """

    answers: int = 0
    seconds: float = 0.0
    rate: float = 0.0
    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    checked: int = 0
    wrong: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)
    generator_cpu: float = 0.0


def request(job: Job, picture: bytes) -> bytes:
    """The whole HTTP request for one picture."""
    if job.form == "base64":
        body = json.dumps({"image_data": base64.b64encode(picture).decode()}).encode()
        content_type = "application/json"
    else:
        body, content_type = picture, "application/octet-stream"
    head = (
        f"POST {job.target} HTTP/1.1\r\nHost: 127.0.0.1:{job.port}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def top(body: bytes, labels: list[str]) -> str:
    """The label that an answer puts first: `{label: probability, ...}` or `{"output": index}`.

    Raises:
        ValueError: It is neither.
    """
    document = json.loads(body)
    if not isinstance(document, dict) or not document:
        raise ValueError("not a JSON object")
    if isinstance(document.get("output"), int):
        return labels[document["output"]]
    return str(next(iter(document)))


@dataclass
class _Exchange:
    """One request and what came of it: an HTTP status and body, or a cause with status 0."""

    picture: int
    sent: float
    received: float = 0.0
    status: int = 0
    body: bytes = b""


class _Client:
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

    def ask(self, exchange: _Exchange, data: bytes) -> None:
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


def run(job: Job) -> Tally:
    """Send a job's traffic and tally the answers."""
    requests = [request(job, Path(path).read_bytes()) for path in job.pictures]
    selector = selectors.DefaultSelector()
    exchanges: list[_Exchange] = []

    def ask(client: _Client) -> None:
        exchange = _Exchange(len(exchanges) % len(requests), time.perf_counter())
        exchanges.append(exchange)
        client.ask(exchange, requests[exchange.picture])

    clients = [_Client(job.port, selector) for _ in range(job.clients)]
    opens = time.perf_counter() + job.warm_up
    closes, extended = opens + job.seconds, 1
    cpu: list[float] = []  # when the window opened and when it closed
    for client in clients:
        ask(client)
    under_way, seen = len(clients), 0
    while under_way:
        now = time.perf_counter()
        if now >= opens and not cpu:
            cpu.append(time.process_time())
        if now >= closes and len(cpu) == 1:
            if seen < _FEWEST and extended < _LONGEST:
                closes, extended = closes + job.seconds, extended + 1
            else:
                cpu.append(time.process_time())
        if now >= closes + _GIVE_UP:
            break
        until = opens if not cpu else closes if len(cpu) == 1 else closes + _GIVE_UP
        for key, mask in selector.select(max(0.0, until - now)):
            client = key.data
            if not client.on_event(mask):
                continue
            seen += client.exchange.received >= opens
            if len(cpu) < 2:
                ask(client)
            else:
                under_way -= 1
    for client in clients:
        client.close()
    return tally(job, exchanges, opens, closes, cpu[1] - cpu[0])


def tally(job: Job, exchanges: list[_Exchange], opens: float, closes: float, cpu: float) -> Tally:
    """Check every answer, and count those of the window."""
    result = Tally(seconds=closes - opens, generator_cpu=cpu)
    errors: Counter[str] = Counter()
    latencies = []
    for exchange in exchanges:
        fault = _fault(job, exchange)
        if fault is None:
            result.checked += 1
            if opens <= exchange.received < closes:
                latencies.append(1000 * (exchange.received - exchange.sent))
            continue
        kind, example = fault
        if kind == "wrong":
            result.checked += 1
            result.wrong += 1
        else:
            errors[kind] += 1
        if len(result.examples) < _SHOWN:
            result.examples.append(example)
    result.errors = dict(errors)
    result.answers = len(latencies)
    result.rate = len(latencies) / result.seconds
    if latencies:
        result.p50, result.p90, result.p99 = (float(value) for value in np.percentile(latencies, [50, 90, 99]))
    return result


def _fault(job: Job, exchange: _Exchange) -> tuple[str, str] | None:
    name = Path(job.pictures[exchange.picture]).name
    if exchange.received == 0.0:
        return "no answer", f"{name}: no answer"
    text = exchange.body[:200].decode(errors="replace")
    if exchange.status != 200:
        kind = f"status {exchange.status}" if exchange.status else text
        return kind, f"{name}: {kind}: {text}"
    try:
        got = top(exchange.body, job.labels)
    except (ValueError, IndexError):
        return "unreadable answer", f"{name}: {text}"
    right = job.answers[exchange.picture]
    return None if got == right else ("wrong", f"{name}: '{got}', right is '{right}'")


def main() -> None:
    """Run the job on standard input."""
    job: dict[str, Any] = json.load(sys.stdin)
    json.dump(asdict(run(Job(**job))), sys.stdout)


if __name__ == "__main__":
    main()
