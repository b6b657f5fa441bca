"""A process of before a reload answers once more on each connection, and knows where instances are now."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import pytest
import requests
from tests.server.edge.conftest import LIMITS, received

from visionserve.server.edge.haproxy_process import HAProxyProcess
from visionserve.server.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.server.edge.conftest import Front, Started

SMALL, LARGE = b"x" * 100, b"x" * 500_000


@pytest.fixture
def idle(start: Started) -> Iterator[tuple[Front, list[socket.socket]]]:
    """A front with slot `a`, which was reloaded, and three connections that its old process still has."""
    front = start(up="a")
    connections = [socket.create_connection((front.host, front.port), timeout=10) for _ in range(3)]
    for connection in connections:
        assert ask(connection, SMALL, keep=True) == b"200"
    front.edge.reload()
    assert len(front.control.workers(old=True)) == 1
    yield front, connections
    for connection in connections:
        connection.close()


def ask(connection: socket.socket, body: bytes, path: str = "/predictions/m", *, keep: bool = False) -> bytes:
    """The status of an answer; the old process closes after it, as it should."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    answer = connection.recv(65536) if keep else received(connection)
    return answer.split(b" ", 2)[1]


def switch(front: Front, to: str, old: str) -> None:
    front.control.up(to)
    front.control.drain(old)
    front.control.down(old)
    front.backends[old].seen.clear()


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
def test_its_requests_reach_the_instances_of_now(body: bytes, idle: tuple[Front, list[socket.socket]]) -> None:
    front, connections = idle
    switch(front, "b", "a")
    front.edge.reload()
    assert ask(connections[0], body) == b"200"
    assert (len(front.backends["b"].seen), front.backends["a"].seen) == (1, [])
    # And again, where it took the first for the one in use all the time.
    switch(front, "a", "b")
    assert ask(connections[1], body) == b"200"
    assert (len(front.backends["a"].seen), front.backends["b"].seen) == (1, [])


def test_it_refuses_what_comes_when_the_server_drains(idle: tuple[Front, list[socket.socket]]) -> None:
    front, connections = idle
    front.control.set_draining(draining=True)
    assert ask(connections[0], SMALL) == b"503"
    assert len(front.backends["a"].seen) == 3


def test_it_refuses_what_comes_when_there_is_no_instance(idle: tuple[Front, list[socket.socket]]) -> None:
    front, connections = idle
    front.control.down("a")
    began = time.monotonic()
    assert ask(connections[0], SMALL) == b"503"
    assert time.monotonic() - began < 0.5  # it does not wait for one


def test_what_one_given_up_has_is_asked_again_of_another(start: Started) -> None:
    front = start(up="a")
    statuses: list[int] = []

    def send() -> None:
        statuses.append(requests.post(f"{front.url}/predictions/sleep-3000", SMALL, timeout=20).status_code)

    asking = threading.Thread(target=send)
    asking.start()
    wait_until(lambda: bool(front.backends["a"].seen))
    front.edge.reload()
    assert len(front.control.workers(old=True)) == 1
    front.control.up("b")
    front.control.give_up("a")
    began = time.monotonic()
    asking.join()
    assert statuses == [200]
    # The old process knows slot `a` alone, so its request goes that way, and arrives where one is.
    assert len(front.backends["b"].seen) == 1
    assert time.monotonic() - began > 2.5  # it began anew


def test_one_that_hangs_keeps_nobody_from_the_others(idle: tuple[Front, list[socket.socket]]) -> None:
    front, _ = idle
    (old,) = front.control.workers(old=True)
    os.kill(old, signal.SIGSTOP)
    began = time.monotonic()
    front.control.up("b")
    for _ in range(20):
        assert front.control.figures().slots["b"].state == "up"
    front.control.give_up("a")
    front.edge.reload()
    assert front.post().json()["slot"] == "b"
    assert time.monotonic() - began < 9
    assert not psutil.pid_exists(old)  # the master would wait for it, and answer nobody any more


def test_one_whose_server_had_no_instance_leads_to_one_of_now(start: Started) -> None:
    front = start(up="")
    with socket.create_connection((front.host, front.port), timeout=10) as connection:
        assert ask(connection, SMALL, keep=True) == b"503"
        front.edge.reload()
        assert front.control.figures().slots["a"].state == "down"
        front.control.up("b")
        assert ask(connection, SMALL) == b"200"
    assert len(front.backends["b"].seen) == 1


@pytest.mark.parametrize("path", ["/predictions/fail-500", "/predictions/fail-507"])
def test_what_fails_is_asked_again_no_more_often_than_elsewhere(
    path: str, idle: tuple[Front, list[socket.socket]]
) -> None:
    front, connections = idle
    switch(front, "b", "a")
    with socket.create_connection((front.host, front.port), timeout=10) as direct:
        status = ask(direct, SMALL, path, keep=True)
    asked = len(front.backends["b"].seen)
    front.backends["b"].seen.clear()
    assert ask(connections[0], SMALL, path) == status
    assert len(front.backends["b"].seen) <= asked


def test_a_request_that_was_accepted_is_answered_while_the_server_drains(start: Started) -> None:
    front = start(up="a", limits=replace(LIMITS, concurrent=1, queue_seconds=10.0))
    statuses: list[int] = []

    def send(path: str) -> None:
        statuses.append(requests.post(front.url + path, SMALL, timeout=20).status_code)

    first = threading.Thread(target=send, args=["/predictions/sleep-1500"])
    second = threading.Thread(target=send, args=["/predictions/m"])
    first.start()
    wait_until(lambda: bool(front.backends["a"].seen))
    second.start()
    wait_until(lambda: front.control.figures().queue == 1)
    front.edge.reload()
    switch(front, "b", "a")
    front.control.set_draining(draining=True)
    first.join()
    second.join()
    assert statuses == [200, 200]
    assert len(front.backends["b"].seen) == 1


def test_a_large_request_on_its_way_to_one_that_stays_goes_on(idle: tuple[Front, list[socket.socket]]) -> None:
    front, connections = idle
    switch(front, "b", "a")
    statuses: list[bytes] = []
    sending = threading.Thread(
        target=lambda: statuses.append(ask(connections[0], LARGE, "/predictions/sleep-1000"))
    )
    sending.start()
    wait_until(lambda: bool(front.backends["b"].seen))
    assert {name: slot.sessions for name, slot in front.control.figures().slots.items()} == {"a": 0, "b": 1}
    front.control.up("a")
    front.control.give_up("a")
    sending.join()
    assert statuses == [b"200"]


def test_a_reload_that_comes_late_is_told_all(start: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    """The master took longer than the supervisor waits: what it starts then must not close the server for good."""
    front = start(up="ab")
    (before,) = front.control.workers()

    def give_up(*_: object) -> None:
        raise ServerError("it did not take the new configuration")

    with monkeypatch.context() as patched:
        patched.setattr(HAProxyProcess, "_wait", give_up)
        with pytest.raises(ServerError):
            front.edge.reload()
    front.control.down("b")
    wait_until(lambda: is_another(front, before))
    front.control.correct(front.control.figures())
    assert [front.post().json()["slot"] for _ in range(4)] == ["a"] * 4
    states = {name: slot.state for name, slot in front.control.figures().slots.items()}
    assert states == {"a": "up", "b": "down"}


def is_another(front: Front, before: int) -> bool:
    try:
        return front.control.workers() not in ([], [before])
    except ServerError:
        return False


def wait_until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)
