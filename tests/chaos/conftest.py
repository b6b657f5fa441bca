"""One supervised server for the faults that it survives, and a table of what they cost."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.chaos import reliability
from tests.chaos.reliability import Row
from tests.chaos.served import PICTURE, Served, project
from tests.chaos.traffic import Traffic

from visionserve.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


ROWS = pytest.StashKey[list[Row]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-reliability", action="store_true", help="write what the faults cost into docs/")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ROWS] = []


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if session.config.getoption("--write-reliability", default=False) and exitstatus == 0:
        reliability.write(session.config.stash[ROWS])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of one instance with two workers."""
    with Served(project(tmp_path_factory.mktemp("chaos"))) as server:
        yield server


@contextmanager
def loaded(server: Served, clients: int = 8) -> Iterator[Traffic]:
    """Constant load on a server, which has come to its full rate."""
    with Client(server.url, "") as client:
        expected = client.predict("quick", PICTURE)
    first = f'{{"{next(iter(expected))}"'.encode()
    with Traffic(server.url, "/predictions/quick", PICTURE, first, clients) as traffic:
        traffic.wait_for(40 * clients)
        yield traffic


@pytest.fixture
def told(request: pytest.FixtureRequest) -> Callable[[str, Traffic, float], None]:
    """Keeps what a fault cost, for the table."""

    def tell(fault: str, traffic: Traffic, at: float) -> None:
        row = Row.of(fault, traffic, at)
        request.config.stash[ROWS].append(row)
        print(f"\n{row}")  # noqa: T201

    return tell


def now() -> float:
    """The clock of `Traffic`."""
    return time.monotonic()
