"""One supervised server for the faults that it survives, and a table of what they cost."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import pytest
from tests.chaos.harness import reliability
from tests.chaos.harness.reliability import COSTS, KINDS, ROWS, Row
from tests.chaos.harness.served import PICTURE, Served, project
from tests.chaos.harness.traffic import Traffic

from visionserve import api_key
from visionserve.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chaos.harness.outcomes import Outcomes

    class Told(Protocol):
        """Keeps what a fault cost; see `Row.of`."""

        def __call__(self, fault: str, outcomes: Outcomes, at: float, done: float | None = None) -> None: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-reliability", action="store_true", help="write what the faults cost into docs/")
    parser.addoption("--minutes", type=float, default=60.0, help="how long the mixed run is")
    parser.addoption(
        "--every", type=float, default=60.0, help="seconds from one fault of the mixed run to the next"
    )
    parser.addoption("--seed", type=int, default=0, help="of the order of the mixed run's faults")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ROWS], config.stash[KINDS], config.stash[COSTS] = [], [], []


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if session.config.getoption("--write-reliability", default=False) and exitstatus == 0:
        reliability.write(session.config.stash[ROWS])
        reliability.write_kinds(session.config.stash[KINDS])
        reliability.write_costs(session.config.stash[COSTS])


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of one instance with two workers."""
    with Served(project(tmp_path_factory.mktemp("chaos"))) as server:
        yield server


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of one instance with one worker, for which there is no other."""
    with Served(project(tmp_path_factory.mktemp("alone"), workers=1)) as server:
        yield server


def aimed(server: Served, clients: int = 8, key: str | None = None, picture: bytes = PICTURE) -> Traffic:
    """Load on a server, which does not come yet."""
    with Client(server.url, "", key) as client:
        expected = client.predict("quick", picture)
    return Traffic(
        url=server.url,
        path="/predictions/quick",
        picture=picture,
        expected=f'{{"{next(iter(expected))}"'.encode(),
        clients=clients,
        headers=api_key.header(key),
    )


@contextmanager
def loaded(
    server: Served, clients: int = 8, key: str | None = None, picture: bytes = PICTURE
) -> Iterator[Traffic]:
    """Constant load on a server, which has come to its full rate."""
    with aimed(server, clients, key, picture) as traffic:
        traffic.wait_for(15 * clients)
        yield traffic


@pytest.fixture
def told(request: pytest.FixtureRequest) -> Told:
    """Keeps what a fault cost, for the table."""

    def tell(fault: str, outcomes: Outcomes, at: float, done: float | None = None) -> None:
        row = Row.of(fault, outcomes, at, done)
        request.config.stash[ROWS].append(row)
        print(f"\n{row}")  # noqa: T201

    return tell


def now() -> float:
    """The clock of `Traffic`."""
    return time.monotonic()
