"""A process of before a reload answers once more on each connection, and knows where instances are now."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

import psutil
import pytest
import requests
from tests.server.edge.conftest import received

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    while not front.backends["a"].seen:
        time.sleep(0.01)
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
    try:
        began = time.monotonic()
        front.control.up("b")
        assert front.control.figures().slots["b"].state == "up"
        front.control.give_up("a")
        assert front.post().json()["slot"] == "b"
        assert time.monotonic() - began < 9
    finally:
        psutil.Process(old).kill()
