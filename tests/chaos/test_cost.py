"""What the edge costs: the same instance asked through it and past it, in turns; `make test-chaos-cost`."""

from __future__ import annotations

import http.client
import socket
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.chaos.harness.reliability import COSTS
from tests.chaos.harness.served import PICTURE, Served, project
from tests.support import quick

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.manual, pytest.mark.timeout(900)]

ROUNDS, SECONDS = 12, 4.0  # of each way


def asker(server: Served, through: bool) -> http.client.HTTPConnection:
    """A connection to the edge, or to the instance's own socket."""
    host = server.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=60)
    if not through:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(server.root / ".visionserve" / "run" / "a" / "inference.sock"))
    return connection


def times(server: Served, through: bool, until: float) -> list[float]:
    """Milliseconds of one request after the other over one connection, until a time."""
    connection, found = asker(server, through), []
    while (start := time.perf_counter()) < until:
        connection.request("POST", "/predictions/quick", PICTURE)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
        found.append(1000 * (time.perf_counter() - start))
    connection.close()
    return found


def rounds(server: Served, clients: int) -> Iterator[list[list[float]]]:
    """The times of each way, for each round; which way is first changes."""
    with ThreadPoolExecutor(clients) as pool:
        for number in range(ROUNDS + 1):
            found: dict[bool, list[float]] = {}
            for through in (False, True) if number % 2 else (True, False):
                until = time.perf_counter() + SECONDS
                parts = list(pool.map(lambda _, way=through, end=until: times(server, way, end), range(clients)))
                found[through] = [each for part in parts for each in part]
            if number:  # the first warms up
                yield [found[False], found[True]]


def interval(values: list[float]) -> tuple[float, float]:
    """Where the mean of 95 % of resampled rounds lies (percentile bootstrap, 10,000 resamples)."""
    drawn = np.random.default_rng(0).choice(values, (10_000, len(values))).mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


@pytest.fixture(scope="module", params=[("resnet18", 64), ("resnet50", 224)], ids=lambda network: network[0])
def asked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Served]]:
    architecture, size = request.param
    root = project(tmp_path_factory.mktemp("cost"))
    quick.build(root, "quick", architecture=architecture, size=size, engine="auto", workers=1)
    with Served(root) as server:
        yield f"{architecture}, {size} pixels", server


def test_what_the_edge_costs(asked: tuple[str, Served], request: pytest.FixtureRequest) -> None:
    model, server = asked
    for clients in (1, 8):
        found = list(rounds(server, clients))
        medians = [[statistics.median(way) for way in pair] for pair in found]
        more = [through - past for past, through in medians]
        rates = [len(through) / len(past) for past, through in found]
        row = (
            f"| {model} | {clients} | {statistics.mean(past for past, _ in medians):.2f}"
            f" | {statistics.mean(more):+.2f} ({interval(more)[0]:+.2f} to {interval(more)[1]:+.2f})"
            f" | {statistics.mean(rates):.3f} ({interval(rates)[0]:.3f} to {interval(rates)[1]:.3f}) |"
        )
        print(f"\n{row}")  # noqa: T201
        request.config.stash[COSTS].append(row)
