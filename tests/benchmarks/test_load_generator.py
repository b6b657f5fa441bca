"""The load generator against a real HTTP server of the standard library."""

from __future__ import annotations

import json
import threading
from base64 import b64decode
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import traffic
from benchmarks.connection import Exchange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

Answer = tuple[int, bytes]


@contextmanager
def serving(
    answer: Callable[[bytes], Answer],
    *,
    keep_alive: bool = True,
    idle: float | None = None,
    on_close: Callable[[], None] = lambda: None,
) -> Iterator[int]:
    """A server on loopback whose answers depend on the body: its port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = idle

        def finish(self) -> None:
            super().finish()
            on_close()

        def do_POST(self) -> None:
            status, body = answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if not keep_alive:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def pictures(tmp_path: Path) -> dict[str, bytes]:
    """Two bodies, one too large for a socket to take at once."""
    bodies = {"red": b"r" * 100, "blue": b"b" * 3_000_000}
    for name, body in bodies.items():
        (tmp_path / f"{name}.jpg").write_bytes(body)
    return {str(tmp_path / f"{name}.jpg"): body for name, body in bodies.items()}


def job(port: int, pictures: dict[str, bytes], **changes: object) -> traffic.Job:
    plain: dict[str, object] = {
        "port": port,
        "target": "/predict",
        "form": "body",
        "pictures": list(pictures),
        "answers": ["red", "blue"],
        "labels": ["red", "blue"],
        "clients": 3,
        "warm_up": 0.05,
        "seconds": 0.3,
    }
    return traffic.Job(**{**plain, **changes})  # type: ignore[arg-type]


def by_first_byte(body: bytes) -> Answer:
    label = {b"r": "red", b"b": "blue"}[body[:1]]
    return 200, json.dumps({label: 0.9, "other": 0.1}).encode()


def test_right_answers_are_counted_with_their_latency(pictures: dict[str, bytes]) -> None:
    with serving(by_first_byte) as port:
        tally = traffic.run(job(port, pictures))
    assert tally.wrong == 0
    assert tally.errors == {}
    assert tally.checked >= tally.answers > 0
    assert tally.rate == pytest.approx(tally.answers / tally.seconds, rel=0.1)
    assert 0 < tally.p50 <= tally.p90 <= tally.p99
    assert 0 < tally.generator_cpu <= tally.seconds * 1.1


@given(opens=st.floats(0.1, 1), seconds=st.floats(0.2, 2))
def test_where_the_window_cuts_a_batch_changes_no_rate(opens: float, seconds: float) -> None:
    """Eight answers every tenth of a second are 80 a second."""
    exchanges = [
        Exchange(0, 0.0, received=0.1 * (index // 8), status=200, body=b'{"red": 1.0}') for index in range(8 * 40)
    ]
    tallied = traffic.tally(job(0, {"red.jpg": b""}), exchanges, opens, opens + seconds, cpu=0.0)
    assert tallied.rate == pytest.approx(80)


def test_every_byte_of_a_large_picture_arrives(pictures: dict[str, bytes]) -> None:
    def exact(body: bytes) -> Answer:
        return by_first_byte(body) if body in pictures.values() else (400, b"{}")

    with serving(exact) as port:
        assert traffic.run(job(port, pictures)).errors == {}


def test_a_wrong_label_is_a_wrong_answer_and_does_not_count(pictures: dict[str, bytes]) -> None:
    with serving(lambda _: (200, b'{"red": 1.0}')) as port:
        tally = traffic.run(job(port, pictures))
    assert tally.wrong > 0
    assert tally.checked > tally.wrong
    assert tally.answers + tally.wrong <= tally.checked
    assert "blue.jpg: 'red', right is 'blue'" in tally.examples


def test_an_error_status_is_counted_by_its_number(pictures: dict[str, bytes]) -> None:
    with serving(lambda body: (503, b"{}") if body[:1] == b"b" else by_first_byte(body)) as port:
        tally = traffic.run(job(port, pictures))
    assert set(tally.errors) == {"status 503"}
    assert tally.answers > 0


def test_an_answer_that_is_none_is_an_error(pictures: dict[str, bytes]) -> None:
    with serving(lambda _: (200, b"[]")) as port:
        assert set(traffic.run(job(port, pictures)).errors) == {"unreadable answer"}


def test_a_server_that_closes_after_each_answer_is_asked_again(pictures: dict[str, bytes]) -> None:
    with serving(by_first_byte, keep_alive=False) as port:
        tally = traffic.run(job(port, pictures))
    assert tally.errors == {}
    assert tally.answers > 0


def test_a_connection_closed_for_idling_after_its_last_answer_is_no_error(pictures: dict[str, bytes]) -> None:
    closed = threading.Event()

    def slow_at_first(body: bytes) -> Answer:
        if body[:1] == b"b":
            closed.wait(20)  # the last answer comes when the other client's connection has gone
        return by_first_byte(body)

    red, blue = pictures
    with serving(slow_at_first, idle=0.05, on_close=closed.set) as port:
        asked = job(port, pictures, clients=2, seconds=0.1)
        tally = traffic.run(replace(asked, pictures=[blue, *[red] * 5000], answers=["blue", *["red"] * 5000]))
    assert (tally.wrong, tally.errors) == (0, {})


def test_litserves_form_is_base64_in_json_and_its_answer_an_index(pictures: dict[str, bytes]) -> None:
    def indexed(body: bytes) -> Answer:
        picture = b64decode(json.loads(body)["image_data"])
        return 200, json.dumps({"output": list(pictures.values()).index(picture)}).encode()

    with serving(indexed) as port:
        tally = traffic.run(job(port, pictures, form="base64"))
    assert (tally.wrong, tally.errors) == (0, {})
    assert tally.answers > 0
