"""What breaks the contract is saved as it is found, whole, and can be asked again."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from tests.fuzzing import fuzzer, saved
from tests.fuzzing.attempts import Attempt, attempts
from tests.fuzzing.fuzzer import Fuzzer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BAD = b"\x00\nwhat no server can take\xff"


class Answering(BaseHTTPRequestHandler):
    """Answers every picture, and what is `BAD` with a status of its own."""

    seen: list[tuple[str, str, str | None, bytes]]

    def do_POST(self) -> None:
        self.do_PUT()

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.seen.append((self.command, self.path, self.headers["X-Top-K"], body))
        answer = json.dumps({"type": "NobodyKnows"}).encode() if body == BAD else b"{}"
        self.send_response(418 if body == BAD else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


class Workers:
    """In the place of the client: a model's worker, which is this process."""

    def __init__(self, *_: object) -> None:
        self.pids = [psutil.Process().pid]

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def worker_pids(self, _model: str) -> list[int]:
        return self.pids


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(fuzzer, "Client", Workers)
    monkeypatch.setattr(Answering, "seen", [], raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{listening.server_port}"
        yield SimpleNamespace(properties=SimpleNamespace(inference=address, management=address))
        listening.shutdown()
        thread.join()


def trying(server: Any, folder: Path) -> Fuzzer:
    opened = Fuzzer(server, "quick", folder)
    opened._documented.clear()
    return opened


def test_all_that_is_sent_comes_back_from_a_file(tmp_path: Path) -> None:
    source = attempts(3)
    for number in range(200):
        attempt = next(source)
        saved.save(attempt, "odd", tmp_path / str(number))
        assert saved.load(tmp_path / str(number)) == attempt


def test_what_breaks_the_contract_is_saved_at_once_and_breaks_it_again(server: Any, tmp_path: Path) -> None:
    bad = Attempt("odd", BAD, {"X-Top-K": "7"}, "PUT")
    first = trying(server, tmp_path)
    first._try(bad)
    (problem,) = first.report.problems
    assert problem.startswith("undocumented (418, 'NobodyKnows')")
    (file,) = tmp_path.iterdir()

    again = saved.load(file)
    Answering.seen.clear()
    second = Fuzzer(server, "quick")
    second._documented.clear()
    report = second.replay([again])
    assert list(report.problems) == [problem]
    assert Answering.seen[-1] == ("PUT", "/predictions/quick", "7", BAD)


def test_what_was_under_way_when_a_worker_ended_is_saved(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = trying(server, tmp_path)
    there = iter([True, True, False, False, False])
    monkeypatch.setattr(psutil, "pid_exists", lambda _: next(there))
    opened._rounds([[Attempt(f"{place}", b"%d" % place)] for place in range(3)])
    (problem,) = opened.report.problems
    assert problem == "a worker was restarted"
    assert sorted(saved.load(file).body for file in tmp_path.iterdir()) == [b"0", b"1"]


def test_a_worker_that_is_another_at_the_end_is_told_too(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = trying(server, tmp_path)
    pids = iter([[psutil.Process().pid], [1]])
    monkeypatch.setattr(opened._client, "worker_pids", lambda _: next(pids))
    assert opened.replay([Attempt("last", b"x")]).restarts == 1
    (file,) = tmp_path.iterdir()
    assert saved.load(file).body == b"x"
