"""Mutated pictures and bodies against a live server: `make fuzz`.

Prints what was tried, what it got, whether a worker was restarted and how its memory grew; fails when an answer is
none of those in docs/api.md, a connection is dropped, a worker ends, its memory grows, or the answer of a whole
picture among all that changes.
"""

from __future__ import annotations

import base64
import json
import random
import string
import struct
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import psutil
import requests
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from tests import corpus, docs, quick

from visionserve.archiver import demo
from visionserve.client import Client
from visionserve.server import health
from visionserve.server.launcher import TorchServe
from visionserve.server.properties import Properties

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPOSITORY = Path(__file__).parents[1]
CLIENTS = 8
TIMEOUT = 60.0
# Memory settles while the first requests grow the allocator's pools; later growth is a leak.
SETTLED = 0.3
LEAK = 0.1
# Every so many requests one whole picture, whose answer must not change.
CONTROL = 10

MODEL = "quick"
PICTURES = [data for _, data in demo.held_out(per_class=1)]


@dataclass(frozen=True)
class Attempt:
    """One request to try.

    Attributes:
        kind: How it was made.
        body: Its content.
        headers: Its headers.
        method: Its HTTP method.
    """

    kind: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "POST"


@dataclass
class Report:
    """What a run showed.

    Attributes:
        kinds: Inputs tried, by how they were made.
        answers: Statuses with their types.
        problems: What breaks the contract, with an example each.
        restarts: Workers that ended.
        memory: Resident bytes of all workers, sampled over the run.
        seconds: How long it took.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    answers: Counter[tuple[int, str]] = field(default_factory=Counter)
    problems: dict[str, Attempt] = field(default_factory=dict)
    restarts: int = 0
    memory: list[int] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def growth(self) -> float:
        """The median memory of the last tenth over that after settling, less 1."""
        settled = self.memory[int(SETTLED * len(self.memory)) :]
        tenth = max(1, len(settled) // 10)
        first, last = sorted(settled[:tenth]), sorted(settled[-tenth:])
        return last[len(last) // 2] / first[len(first) // 2] - 1


def attempts(seed: int) -> Iterator[Attempt]:
    """Requests without end, the same for the same seed."""
    rng = random.Random(seed)
    makers: list[Callable[[random.Random], Attempt]] = [
        _raw,
        _raw,
        _raw,
        _multipart,
        _json,
        _tensor,
        _binary,
        _noise,
    ]
    while True:
        attempt = rng.choice(makers)(rng)
        yield Attempt(attempt.kind, attempt.body, {**attempt.headers, **_options(rng)}, attempt.method)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Bytes with one to five things wrong."""
    result = bytearray(data)
    for _ in range(rng.randint(1, 5)):
        place = rng.randrange(len(result) + 1)
        length = rng.choice([1, 2, 4, 16, 256])
        extreme = rng.choice([0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, rng.getrandbits(32)])
        change = rng.randrange(7)
        if change == 0 and place < len(result):
            result[place] ^= 1 << rng.randrange(8)
        elif change == 1:
            result[place : place + length] = rng.randbytes(length)
        elif change == 2:
            result[place : place + 4] = struct.pack(rng.choice("<>") + "I", extreme)
        elif change == 3:
            del result[place : place + length]
        elif change == 4:
            result[place:place] = result[place : place + length] * rng.choice([1, 2, 50])
        elif change == 5:
            del result[max(place, 1) :]
        else:
            other = rng.choice(corpus.variants()).data
            result[place:] = other[rng.randrange(len(other)) :]
    return bytes(result)


def _picture(rng: random.Random) -> bytes:
    data = rng.choice(corpus.variants()).data
    # Most damage is done to the first bytes: there are the headers that lie.
    if rng.random() < 0.5 and len(data) > 200:
        return mutated(data[:200], rng) + data[200:]
    return mutated(data, rng)


def _raw(rng: random.Random) -> Attempt:
    kind = rng.choice(
        ["", "image/jpeg", "application/octet-stream", "application/json", "text/plain", "x/y; z=\xe9"]
    )
    headers = {"Content-Type": kind} if kind else {}
    return Attempt("mutated picture", _picture(rng), headers, rng.choice(["POST"] * 8 + ["PUT", "PATCH"]))


def _multipart(rng: random.Random) -> Attempt:
    names = [
        rng.choice(["data", "body", "a", "b", "", "\u00e4", 'quo"te', "x" * 300]) for _ in range(rng.randint(0, 4))
    ]
    parts = b"".join(
        b'--limit\r\nContent-Disposition: form-data; name="%s"%s\r\n%s\r\n%s\r\n'
        % (
            name.encode(),
            rng.choice([b"", b'; filename="f"', '; filename="\u00e4\u2028.jpg"'.encode()]),
            rng.choice([b"", b"Content-Type: image/png\r\n", b"Content-Type: application/json\r\n"]),
            _picture(rng),
        )
        for name in names
    )
    body = parts + b"--limit--\r\n"
    if rng.random() < 0.3:
        body = mutated(body, rng)
    return Attempt(
        "multipart",
        body,
        {"Content-Type": rng.choice(["multipart/form-data; boundary=limit"] * 9 + ["multipart/form-data"])},
    )


def _text(rng: random.Random) -> str:
    encoded = base64.b64encode(_picture(rng)).decode()
    return rng.choice([encoded, encoded, encoded[:-1], "", "\u00e4", "*" * 100])


def _value(rng: random.Random, depth: int = 0) -> object:
    plain: list[object] = [None, True, -1, 10**20, 0.5, "", "UINT8", _text(rng), [1, 3, 1, 1]]
    if depth < 3 and rng.random() < 0.4:
        inner = [_value(rng, depth + 1) for _ in range(rng.randint(0, 3))]
        return inner if rng.random() < 0.5 else dict(zip(["b64", "data", "shape", "name"], inner, strict=False))
    return rng.choice(plain)


def _json(rng: random.Random) -> Attempt:
    document: dict[str, object] = {}
    for key in rng.sample(["instances", "data", "inputs", "outputs", "id", "parameters"], rng.randint(1, 3)):
        document[key] = _value(rng)
    if rng.random() < 0.5:
        document = {"instances": [{"b64": _text(rng)} for _ in range(rng.randint(0, 5))]}
    body = json.dumps(document, ensure_ascii=rng.random() < 0.5).encode()
    if rng.random() < 0.3:
        body = mutated(body, rng)
    return Attempt("JSON", body, {"Content-Type": rng.choice(["application/json", "text/plain", "image/jpeg"])})


def _tensor(rng: random.Random) -> Attempt:
    shape: list[object] = [
        rng.choice([0, 1, 2, 3, 5]),
        rng.choice([1, 3, 7]),
        rng.choice([1, 3, 9]),
        rng.choice([1, 3]),
    ]
    size = 1
    for side in shape:
        size *= int(str(side))
    tensor: dict[str, object] = {
        "name": "image",
        "datatype": rng.choice(["UINT8", "FP32", "BYTES", "FP16"]),
        "shape": shape,
        "data": [rng.choice([0, 1, 255, 0.5, 1.0]) for _ in range(size)],
    }
    if rng.random() < 0.5:
        tensor[rng.choice(list(tensor))] = _value(rng)
    return Attempt("tensor", json.dumps({"inputs": [tensor]}).encode(), {"Content-Type": "application/json"})


def _binary(rng: random.Random) -> Attempt:
    pictures = [_picture(rng) for _ in range(rng.randint(1, 4))]
    content = b"".join(struct.pack("<I", len(picture)) + picture for picture in pictures)
    if rng.random() < 0.4:
        content = mutated(content, rng)
    parameters = {"binary_data_size": len(content) + rng.choice([0, 0, 0, 1, -1, 10**12])}
    tensor = {"name": "x", "datatype": "BYTES", "shape": [len(pictures)], "parameters": parameters}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": rng.random() < 0.5}}).encode()
    length = str(len(head) + rng.choice([0, 0, 0, 0, 1, -1]))
    return Attempt("binary tensor", head + content, {"Inference-Header-Content-Length": length})


def _noise(rng: random.Random) -> Attempt:
    body = rng.choice([b"", rng.randbytes(rng.randrange(5000)), b"[" * 50_000, b'{"a":' * 10_000, bytes(100_000)])
    return Attempt("noise", body, {}, rng.choice(["POST", "GET", "DELETE", "PUT"]))


def _options(rng: random.Random) -> dict[str, str]:
    if rng.random() < 0.6:
        return {}
    soon = int(time.time() * 1000) + rng.choice([-5000, 60_000])
    word = "".join(rng.choice(string.printable[:95]) for _ in range(rng.randint(1, 12))).strip()
    return dict(
        rng.sample(
            [
                ("X-Top-K", rng.choice(["1", "3", "0", "-1", "999", word])),
                ("x-response", rng.choice(["labels", "detailed", word])),
                ("X-Request-Deadline-Ms", rng.choice([str(soon), "1", word])),
                ("describe", "True"),
                ("explain", "True"),
                ("ts_stream_next", "true"),
                ("Inference-Header-Content-Length", rng.choice(["0", "5", "999999999", word])),
                ("Content-Encoding", "gzip"),
            ],
            rng.randint(1, 3),
        )
    )


class Fuzzer:
    """Sends attempts to one server and keeps the report."""

    def __init__(self, server: TorchServe, model: str) -> None:
        self._url = f"{server.properties.inference}/predictions/{model}"
        self._client = Client(server.properties.inference, server.properties.management)
        self._model = model
        self._documented = docs.documented()
        self._expected = {data: requests.post(self._url, data=data, timeout=TIMEOUT).content for data in PICTURES}
        self._local = threading.local()
        self._lock = threading.Lock()
        self.report = Report()

    def run(self, count: int, seed: int, show: bool = False) -> Report:
        """Try that many requests."""
        start, pids = time.monotonic(), self._client.worker_pids(self._model)
        source = attempts(seed)
        rounds = range(0, count, CLIENTS)
        with self._client, ThreadPoolExecutor(CLIENTS) as pool:
            for done in track(rounds, "fuzzing", disable=not show):
                batch = [next(source) for _ in range(min(CLIENTS, count - done))]
                list(pool.map(self._try, batch, range(done, done + len(batch))))
                self.report.memory.append(self._resident(pids))
            self.report.restarts = len(set(pids) - set(self._client.worker_pids(self._model)))
        self.report.seconds = time.monotonic() - start
        if self.report.restarts:
            self.report.problems["a worker was restarted"] = Attempt("unknown", b"")
        return self.report

    def _try(self, attempt: Attempt, number: int) -> None:
        if number % CONTROL == 0:
            data = PICTURES[number % len(PICTURES)]
            attempt = Attempt("whole picture", data)
        try:
            response = self._session().request(
                attempt.method, self._url, data=attempt.body, headers=attempt.headers, timeout=TIMEOUT
            )
        except requests.RequestException as error:
            with self._lock:
                self.report.kinds[attempt.kind] += 1
                self.report.problems[f"no answer: {type(error).__name__}"] = attempt
            return
        answer = (response.status_code, "" if response.ok else _type(response))
        with self._lock:
            self.report.kinds[attempt.kind] += 1
            self.report.answers[answer] += 1
            if not response.ok and not self._is_documented(attempt, answer):
                self.report.problems[f"undocumented {answer}: {response.text[:200]}"] = attempt
            if attempt.kind == "whole picture" and response.content != self._expected[attempt.body]:
                self.report.problems["the answer of a whole picture changed"] = attempt

    def _is_documented(self, attempt: Attempt, answer: tuple[int, str]) -> bool:
        status, kind = answer
        broken_form = status == 500 and kind.endswith("Exception") and kind != "InternalServerException"
        return answer in self._documented or (broken_form and attempt.kind == "multipart")

    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.trust_env = False
        session: requests.Session = self._local.session
        return session

    @staticmethod
    def _resident(pids: list[int]) -> int:
        return sum(psutil.Process(pid).memory_info().rss for pid in pids if psutil.pid_exists(pid))


def _type(response: requests.Response) -> str:
    try:
        return str(response.json()["type"])
    except (ValueError, KeyError, TypeError):
        return ""


def _show(report: Report, console: Console) -> None:
    tried = Table("inputs tried", "requests")
    for kind, count in report.kinds.most_common():
        tried.add_row(kind, str(count))
    got = Table("status", "type", "answers")
    for (status, kind), count in sorted(report.answers.items()):
        got.add_row(str(status), kind, str(count))
    console.print(tried, got)
    settled = report.memory[int(SETTLED * len(report.memory))]
    console.print(
        f"{report.kinds.total()} requests in {report.seconds:.0f} s, worker restarts {report.restarts}, memory"
        f" of the workers {settled / 1e6:.0f} MB when settled, {report.memory[-1] / 1e6:.0f} MB at the end"
        f" ({report.growth:+.1%})"
    )


def main(
    count: Annotated[int, typer.Option("--requests", help="How many to try.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Another seed tries others.")] = 0,
) -> None:
    """Serve a small network, fuzz it, and exit with 1 if the contract was broken."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="visionserve-fuzz-") as folder:
        project = quick.project(Path(folder))
        archive = quick.build(project, MODEL, max_pixels=50_000_000).archive.path
        properties = Properties.read(REPOSITORY / "config.properties").on_free_ports()
        with TorchServe({MODEL: archive}, properties, project / "logs") as server:
            for _ in health.wait_until_ready(server, timeout=120):
                pass
            report = Fuzzer(server, MODEL).run(count, seed, show=True)
        _show(report, console)
        for number, (problem, attempt) in enumerate(report.problems.items()):
            saved = Path(tempfile.gettempdir()) / f"visionserve-fuzz-{seed}-{number}.bin"
            saved.write_bytes(attempt.body)
            console.print(f"{problem}: {attempt.method} {attempt.headers}, body in {saved}", markup=False)
        if report.problems or report.growth > LEAK:
            raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
