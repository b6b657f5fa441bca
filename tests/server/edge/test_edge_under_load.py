"""Many clients at once, good and bad ones; every test prints what it sent and what became of it."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from tests.server.edge.conftest import LIMITS

from visionserve.server.edge import control
from visionserve.server.edge.uploads import Uploads

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from tests.server.edge.conftest import Front, Started

T = TypeVar("T")

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@dataclass(frozen=True)
class Got:
    """One request's answer; status 0 is none."""

    status: int
    seconds: float
    headers: dict[str, str]
    body: bytes = b""


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    status, headers, _ = await whole_answer(reader)
    return status, headers


async def whole_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return int(head[0].split()[1]), headers, body


async def ask_once(front: Front, body: bytes) -> Got:
    began, got = time.monotonic(), b""
    try:
        reader, writer = await asyncio.open_connection(front.host, front.port)
        writer.write(
            b"POST /predictions/m HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
            % len(body)
        )
        writer.write(body)
        status, headers, got = await whole_answer(reader)
        writer.close()
    except (OSError, asyncio.IncompleteReadError):
        status, headers = 0, {}
    return Got(status, time.monotonic() - began, headers, got)


async def at_once(front: Front, clients: int, seconds: float, body: bytes = b"x" * 20_000) -> list[Got]:
    """Clients that each ask again when they are answered, on connections that they keep."""
    got: list[Got] = []
    end = time.monotonic() + seconds

    async def client() -> None:
        reader, writer = await asyncio.open_connection(front.host, front.port)
        head = b"POST /predictions/m HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
        while (began := time.monotonic()) < end:
            try:
                writer.write(head + body)
                status, headers = await answer(reader)
            except (OSError, asyncio.IncompleteReadError):
                status, headers = 0, {}
            got.append(Got(status, time.monotonic() - began, headers))
            if status == 0 or headers.get("connection") == "close":
                writer.close()
                reader, writer = await asyncio.open_connection(front.host, front.port)
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return got


async def at_rate(front: Front, rate: float, seconds: float) -> list[Got]:
    """Requests that come whether or not the ones before them are answered."""
    began, asking = time.monotonic(), []
    for number in range(round(rate * seconds)):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        asking.append(asyncio.create_task(ask_once(front, b"x" * 20_000)))
    return list(await asyncio.gather(*asking))


def p99(got: list[Got]) -> float:
    times = sorted(each.seconds for each in got)
    return times[int(0.99 * (len(times) - 1))]


def told(what: str, got: list[Got]) -> Counter[int]:
    statuses = Counter(each.status for each in got)
    print(f"{what}: sent {len(got)}, answered {statuses[200]}, lost {statuses[0]}, by status {dict(statuses)}")  # noqa: T201
    return statuses


def with_workers(front: Front, seconds: float, workers: int) -> None:
    for each in front.backends.values():
        each.busy, each.free = seconds, threading.Semaphore(workers)


def finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """What it returns, run in a thread of its own: a browser that another test opened has a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


@pytest.mark.slow
def test_at_three_times_what_it_can_it_does_all_it_can(start: Started) -> None:
    front = start(limits=replace(LIMITS, concurrent=4, queue=16, queue_seconds=5.0), up="a")
    with_workers(front, 0.02, 2)  # 100 a second at most
    front.control.set_service_time(0.01)
    seconds = 3.0
    best = told("at its best", finished(at_once(front, 8, seconds)))[200] / seconds
    began = time.monotonic()
    got = finished(at_rate(front, 3 * best, seconds))
    goodput = sum(each.status == 200 for each in got) / (time.monotonic() - began)
    statuses = told(f"at {3 * best:.0f} a second, {goodput:.0f} of at best {best:.0f} answered", got)
    assert set(statuses) == {200, 503}
    assert goodput >= 0.9 * best
    refused = [each for each in got if each.status == 503]
    assert {each.headers["retry-after"] for each in refused} == {"1"}
    # A refusal does not wait, and who was let in did not wait longer than the queue is.
    assert p99(refused) < 0.25
    assert p99([each for each in got if each.status == 200]) < 1.0


def test_clients_are_told_how_long_the_queue_takes(start: Started) -> None:
    front = start(limits=replace(LIMITS, concurrent=1, queue=4, queue_seconds=0.5), up="a")
    with_workers(front, 0.6, 1)
    front.control.set_service_time(2.5)
    got = finished(at_rate(front, 200, 0.05))
    assert told("a burst at a queue of four", got) == {200: 1, 503: 9}
    refused = [each for each in got if each.status == 503]
    # Five found the queue full and would have waited 5 x 2.5 s; four waited in vain, behind 0 to 3 others.
    assert Counter(each.headers["retry-after"] for each in refused) == {"13": 5, "3": 1, "5": 1, "8": 1, "10": 1}
    said = [(each.headers["retry-after"] == "13", json.loads(each.body)) for each in refused]
    overloaded = {"code": 503, "type": "Overloaded", "message": "too many requests are waiting"}
    assert [document for at_once, document in said if at_once] == [overloaded] * 5
    assert {document["type"] for at_once, document in said if not at_once} == {"Unavailable"}
    assert {each.headers["content-type"] for each in refused} == {"application/json"}


@pytest.fixture
def asked_meanwhile(start: Started) -> Iterator[tuple[Front, list[Got]]]:
    """A front that 6 clients ask all the time, and what they got."""
    front = start()
    got: list[Got] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            got.extend(finished(at_once(front, 6, 0.5)))

    asking = threading.Thread(target=ask)
    asking.start()
    yield front, got
    stop.set()
    asking.join()


def test_twenty_reloads_fail_no_request(asked_meanwhile: tuple[Front, list[Got]]) -> None:
    front, got = asked_meanwhile
    for _ in range(20):
        front.edge.reload()
    end = time.monotonic() + 5
    while time.monotonic() < end and not got:
        time.sleep(0.01)
    assert set(told("20 reloads", got)) == {200}


def test_switching_slots_fails_no_request(asked_meanwhile: tuple[Front, list[Got]]) -> None:
    front, got = asked_meanwhile
    front.control.down("b")
    for new, old in [("b", "a"), ("a", "b")] * 10:
        front.control.up(new)
        front.control.drain(old)
        while front.control.sessions(old):
            time.sleep(0.001)
        front.control.down(old)
    end = time.monotonic() + 5
    while time.monotonic() < end and not got:
        time.sleep(0.01)
    assert set(told("20 switches", got)) == {200}


@pytest.mark.slow
def test_idle_and_slow_clients_do_not_slow_the_others(start: Started) -> None:
    front = start(limits=replace(LIMITS, body_seconds=30.0, idle_seconds=60.0, header_seconds=30.0))
    with_workers(front, 0.02, 8)

    async def slow() -> None:
        _, writer = await asyncio.open_connection(front.host, front.port)
        writer.write(b"POST /predictions/slow HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b"x")
            await asyncio.sleep(1)

    async def idle() -> asyncio.StreamWriter:
        reader, writer = await asyncio.open_connection(front.host, front.port)
        writer.write(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await answer(reader))[0] == 200
        return writer

    async def measure() -> tuple[list[Got], list[Got]]:
        alone = await at_once(front, 4, 3)
        held = [await idle() for _ in range(2000)]
        senders = [asyncio.create_task(slow()) for _ in range(200)]
        while front.control.figures().under_way < 200:
            await asyncio.sleep(0.01)
        beside = await at_once(front, 4, 3)
        assert front.control.figures().connections >= 2200
        for sender in senders:
            sender.cancel()
        for writer in held:
            writer.close()
        return alone, beside

    alone, beside = finished(measure())
    assert set(told(f"alone, p99 {1000 * p99(alone):.1f} ms", alone)) == {200}
    what = f"beside 2000 idle connections and 200 slow senders, p99 {1000 * p99(beside):.1f} ms"
    assert set(told(what, beside)) == {200}
    assert p99(beside) <= 1.5 * p99(alone)
    assert not [seen for seen in front.seen if seen.path.endswith("slow")]


def test_uploads_that_trickle_are_ended_and_fair_ones_are_not(start: Started) -> None:
    limits = replace(LIMITS, upload_seconds=4.0, body_seconds=10.0, answer_seconds=10.0)
    front = start(limits=limits)
    uploads = Uploads(front.edge.own.with_name(control.WORKER), limits.upload_seconds)
    size = 900_000

    async def send(piece: int, pause: float) -> Got:
        """A large request whose first half comes at once, and the rest bit by bit."""
        began, status = time.monotonic(), 0
        reader, writer = await asyncio.open_connection(front.host, front.port)
        writer.write(b"POST /predictions/m HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        writer.write(b"x" * (size // 2))
        answering = asyncio.create_task(answer(reader))
        left = size // 2
        while left and not answering.done():
            writer.write(b"x" * min(piece, left))
            left -= min(piece, left)
            await asyncio.sleep(pause)
        with suppress(OSError, asyncio.IncompleteReadError):
            status, _ = await answering
        writer.close()
        return Got(status, time.monotonic() - began, {})

    async def measure() -> tuple[list[Got], list[Got], Got]:
        tricklers = asyncio.gather(*(send(1, 0.2) for _ in range(20)))
        fair = asyncio.create_task(send(20_000, 0.1))
        beside: list[Got] = []
        while not tricklers.done():
            beside += await at_once(front, 4, 0.3)
            uploads.look()
        return await tricklers, beside, await fair

    tricklers, beside, fair = finished(measure())
    told(f"20 tricklers, ended after {max(each.seconds for each in tricklers):.1f} s at most", tricklers)
    assert all(each.status != 200 and 4.0 <= each.seconds < 8.0 for each in tricklers)
    assert (fair.status, fair.seconds > 2.0) == (200, True)
    assert set(told(f"beside them, p99 {1000 * p99(beside):.1f} ms", beside)) == {200}
    assert sum(len(seen.body) == size for seen in front.seen) == 1
