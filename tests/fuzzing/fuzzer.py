"""Sends attempts to a server, eight at a time, and keeps what they got.

An answer is a problem when its status with its type is in no table of docs/api.md, when the answer of a whole
picture changes, when none comes, and when a worker was restarted. What got it is saved at once, as files that
repeat it: of a worker that ended all the requests that were under way.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import psutil
import requests
from rich.progress import track
from tests.fuzzing import saved
from tests.fuzzing.attempts import Attempt, attempts
from tests.support import documents

from visionserve.archiver.demo import colours
from visionserve.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from visionserve.server.instance.launcher import TorchServe

CLIENTS = 8
TIMEOUT = 60.0
# Memory settles while the first requests grow the allocator's pools; later growth is a leak.
SETTLED = 0.3
LEAK = 0.1
# Every so many requests one whole picture, whose answer must not change.
CONTROL = 10
WHOLE = "whole picture"
# What a client is told whose picture ended its decoder with anything but the time it may take.
_CRASHED = "it makes its decoder fail"
_RESTARTED = "a worker was restarted"

PICTURES = [data for _, data in colours.held_out(per_class=1)]


@dataclass
class Report:
    """What a run showed.

    Attributes:
        kinds: Inputs tried, by how they were made.
        answers: Statuses with their types.
        problems: What breaks the contract, with the requests that first did.
        restarts: Workers that ended.
        memory: Resident bytes of all workers, sampled over the run.
        seconds: How long it took.
        waits: Seconds that each whole picture waited for its answer among all that.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    answers: Counter[tuple[int, str]] = field(default_factory=Counter)
    problems: dict[str, tuple[Attempt, ...]] = field(default_factory=dict)
    restarts: int = 0
    memory: list[int] = field(default_factory=list)
    seconds: float = 0.0
    waits: list[float] = field(default_factory=list)

    @property
    def usual(self) -> float:
        """Seconds that the median whole picture waited."""
        return statistics.median(self.waits or [0.0])

    @property
    def delay(self) -> float:
        """Seconds that the slowest whole picture waited longer than that."""
        return max(self.waits, default=0.0) - self.usual

    @property
    def settled(self) -> list[int]:
        """The memory after it settled."""
        return self.memory[int(SETTLED * len(self.memory)) :]

    @property
    def growth(self) -> float:
        """The median memory of the last tenth over that after settling, less 1."""
        tenth = max(1, len(self.settled) // 10)
        first, last = sorted(self.settled[:tenth]), sorted(self.settled[-tenth:])
        return last[len(last) // 2] / first[len(first) // 2] - 1


class Fuzzer:
    """Sends attempts to one server and keeps the report.

    Args:
        server: The server.
        model: The model in it to ask.
        found: The folder for what breaks the contract, each request in a file; without it none is saved.
    """

    def __init__(self, server: TorchServe, model: str, found: Path | None = None) -> None:
        self._server, self._path = server.properties.inference, f"/predictions/{model}"
        self._client = Client(server.properties.inference, server.properties.management)
        self._model, self._found = model, found
        self._documented = documents.documented()
        self._expected = {
            data: requests.post(self._server + self._path, data=data, timeout=TIMEOUT).content for data in PICTURES
        }
        self._local = threading.local()
        self._lock = threading.Lock()
        self.report = Report()

    def run(self, count: int, seed: int, show: bool = False) -> Report:
        """Try that many requests."""
        source = _with_controls(attempts(seed))
        rounds = [min(CLIENTS, count - done) for done in range(0, count, CLIENTS)]
        return self._rounds(
            [next(source) for _ in range(size)] for size in track(rounds, "fuzzing", disable=not show)
        )

    def replay(self, again: Sequence[Attempt]) -> Report:
        """Try these, all at once."""
        return self._rounds([again])

    def _rounds(self, rounds: Iterable[Sequence[Attempt]]) -> Report:
        start, pids = time.monotonic(), self._client.worker_pids(self._model)
        under_way: tuple[Attempt, ...] = ()
        with self._client, ThreadPoolExecutor(CLIENTS) as pool:
            for batch in rounds:
                # A worker that ends takes a moment, so it may be gone after the next requests only.
                under_way = (*under_way[-CLIENTS:], *batch)
                list(pool.map(self._try, batch))
                self.report.memory.append(self._resident(pids))
                if not all(map(psutil.pid_exists, pids)):
                    self._is_wrong(_RESTARTED, *under_way)
            self.report.restarts = len(set(pids) - set(self._client.worker_pids(self._model)))
        if self.report.restarts:
            self._is_wrong(_RESTARTED, *under_way)
        self.report.seconds = time.monotonic() - start
        return self.report

    def _is_wrong(self, problem: str, *by: Attempt) -> None:
        if problem in self.report.problems:
            return
        self.report.problems[problem] = by
        if self._found is not None:
            number = len(self.report.problems)
            for place, attempt in enumerate(by):
                sent = replace(attempt, path=attempt.path or self._path)
                saved.save(sent, problem, self._found / f"{number}-{place}.request")

    def _try(self, attempt: Attempt) -> None:
        start = time.monotonic()
        url = self._server + (attempt.path or self._path)
        try:
            response = self._session().request(
                attempt.method, url, data=attempt.body, headers=attempt.headers, timeout=TIMEOUT
            )
        except requests.RequestException as error:
            with self._lock:
                self.report.kinds[attempt.kind] += 1
                self._is_wrong(f"no answer: {type(error).__name__}", attempt)
            return
        answer = (response.status_code, "" if response.ok else _type(response))
        with self._lock:
            self.report.kinds[attempt.kind] += 1
            self.report.answers[answer] += 1
            if _CRASHED in response.text:
                self._is_wrong(f"a decoder crashed: {response.text[:200]}", attempt)
            if not response.ok and not self._is_documented(attempt, answer):
                self._is_wrong(f"undocumented {answer}: {response.text[:200]}", attempt)
            if attempt.kind == WHOLE:
                self.report.waits.append(time.monotonic() - start)
                if response.content != self._expected[attempt.body]:
                    self._is_wrong("the answer of a whole picture changed", attempt)

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


def _with_controls(source: Iterator[Attempt]) -> Iterator[Attempt]:
    """Every so often a whole picture in the place of one of them."""
    for number, attempt in enumerate(source):
        yield attempt if number % CONTROL else Attempt(WHOLE, PICTURES[number % len(PICTURES)])


def _type(response: requests.Response) -> str:
    try:
        return str(response.json()["type"])
    except (ValueError, KeyError, TypeError):
        return ""
