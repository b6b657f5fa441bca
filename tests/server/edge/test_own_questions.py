"""What the server asks itself, over a socket of its own, is answered however many clients wait."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.server.edge.conftest import LIMITS
from tests.server.edge.test_edge_under_load import at_once, finished, with_workers

if TYPE_CHECKING:
    from tests.server.edge.conftest import Front, Started
    from tests.server.edge.test_edge_under_load import Got

BUSY = 0.15  # seconds that each request takes of the only worker
QUEUE = 8


def asked_of_itself(front: Front, body: bytes) -> tuple[int, float]:
    """The status of an answer to the server's own question, and the seconds it took."""
    began = time.monotonic()
    connection = http.client.HTTPConnection("own")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(20)
    connection.sock.connect(str(front.edge.own))
    connection.request("POST", "/predictions/own", body)
    status = connection.getresponse().status
    connection.close()
    return status, time.monotonic() - began


@pytest.mark.parametrize("size", [20_000, pytest.param(500_000, marks=pytest.mark.slow)], ids=["small", "large"])
def test_a_full_queue_is_in_nobody_s_way_who_asks_from_within(size: int, start: Started) -> None:
    front = start(limits=replace(LIMITS, concurrent=1, queue=QUEUE, queue_seconds=10.0), up="a")
    with_workers(front, BUSY, 1)
    statuses: list[int] = []

    def rush() -> None:
        statuses.extend(got.status for got in finished(at_once(front, QUEUE + 4, 1.5)))

    rushing = threading.Thread(target=rush)
    rushing.start()
    while front.control.figures().queue < QUEUE:
        time.sleep(0.01)
    asked = [asked_of_itself(front, b"x" * size) for _ in range(2)]
    rushing.join()
    assert set(statuses) == {200, 503}  # there was no room for clients
    assert [status for status, _ in asked] == [200] * 2
    # The one that is being answered goes before it, and none of those that wait.
    assert max(seconds for _, seconds in asked) < BUSY * QUEUE / 2


def test_as_many_clients_as_may_come_leave_room_for_it(start: Started) -> None:
    clients, seconds = 100, 1.5
    front = start(limits=replace(LIMITS, clients=clients, concurrent=2 * clients), up="a")
    with_workers(front, seconds, clients)
    got: list[Got] = []

    def rush() -> None:
        got.extend(finished(at_once(front, clients, 0.1)))

    rushing = threading.Thread(target=rush)
    rushing.start()
    while front.control.figures().connections < clients:
        time.sleep(0.01)
    began = time.monotonic()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(front.edge.own))
        connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: own\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
    assert time.monotonic() - began < seconds / 2
    rushing.join()
    assert [each.status for each in got] == [200] * clients
    assert max(each.seconds for each in got) < 2 * seconds  # all of them were on their way at once
