"""The load generator: one process, one thread, C clients that each wait for their answer before they ask again.

It shares the machine's cores with the server, so it does as little as it can: requests are made before the clock
starts, answers are read after it has stopped, and in between it only moves bytes. A job comes as JSON on standard
input, the tally goes out as JSON on standard output.
"""

from __future__ import annotations

import base64
import json
import selectors
import statistics
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks.connection import Connection, Exchange

Form = Literal["body", "base64"]

# A window that saw fewer answers is made longer by itself, at most this many times.
_FEWEST = 40
_LONGEST = 3
_GIVE_UP = 180.0  # seconds that the last answers may take
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
        rate: Answers a second, from the first within the window to the first after it: they come in batches, and
            a window that cut through one would count up to a batch too many or too few.
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


def run(job: Job) -> Tally:
    """Send a job's traffic and tally the answers."""
    requests = [request(job, Path(path).read_bytes()) for path in job.pictures]
    selector = selectors.DefaultSelector()
    exchanges: list[Exchange] = []

    def ask(client: Connection) -> None:
        exchange = Exchange(len(exchanges) % len(requests), time.perf_counter())
        exchanges.append(exchange)
        client.ask(exchange, requests[exchange.picture])

    def serve_until(end: float, *, asking: bool) -> int:
        """Move bytes until a time, or until nobody waits any more: how many answers came."""
        came = 0
        while waiting and (left := end - time.perf_counter()) > 0:
            for key, mask in selector.select(left):
                client: Connection = key.data
                if client.on_event(mask):
                    came += 1
                    if asking:
                        ask(client)
                    else:
                        waiting.discard(client)
                        client.close()  # or a server that closes idle connections would seem to fail
        return came

    waiting = {Connection(job.port, selector) for _ in range(job.clients)}
    opens = time.perf_counter() + job.warm_up
    for client in waiting:
        ask(client)
    serve_until(opens, asking=True)
    cpu, closes = time.process_time(), opens
    came = 0
    for _ in range(_LONGEST):
        closes += job.seconds
        came += serve_until(closes, asking=True)
        if came >= _FEWEST:
            break
    cpu = time.process_time() - cpu
    serve_until(closes + _GIVE_UP, asking=False)
    for client in waiting:
        client.close()
    return tally(job, exchanges, opens, closes, cpu)


def tally(job: Job, exchanges: list[Exchange], opens: float, closes: float, cpu: float) -> Tally:
    """Check every answer, and count those of the window."""
    result = Tally(seconds=closes - opens, generator_cpu=cpu)
    errors: Counter[str] = Counter()
    latencies, received = [], []
    for exchange in exchanges:
        fault = _fault(job, exchange)
        if fault is None:
            result.checked += 1
            received.append(exchange.received)
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
    if latencies:
        after = min((at for at in received if at >= closes), default=closes)
        result.rate = len(latencies) / (after - min(at for at in received if at >= opens))
        # One answer has no quantiles by itself.
        cuts = statistics.quantiles(latencies * (2 if len(latencies) == 1 else 1), n=100, method="inclusive")
        result.p50, result.p90, result.p99 = cuts[49], cuts[89], cuts[98]
    return result


def _fault(job: Job, exchange: Exchange) -> tuple[str, str] | None:
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
