"""A real HAProxy, of each version there is, before instances that are small servers of the test's own."""

from __future__ import annotations

import socket
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import psutil
import pytest
import requests
from tests.support import backend

from visionserve.server.edge import haproxy
from visionserve.server.edge.configuration import Slot
from visionserve.server.edge.haproxy_process import HAProxyProcess
from visionserve.server.settings.serving import EdgeSettings, KeySettings, LimitSettings, Serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.support.backend import Backend

BODY = 1_000_000
LIMITS = LimitSettings(
    body=BODY, header_seconds=1.0, body_seconds=1.5, idle_seconds=20.0, queue_seconds=1.0, answer_seconds=5.0
)
EXECUTABLES = haproxy.candidates()


class Front:
    """An edge with two slots, whose instances are `backends`, and a session that asks it."""

    def __init__(self, edge: HAProxyProcess, address: str, backends: Mapping[str, Backend], scheme: str) -> None:
        self.edge = edge
        self.control = edge.control
        self.address = address
        self.host, port = address.split(":")
        self.port = int(port)
        self.url = f"{scheme}://{address}"
        self.backends = backends
        self.session = requests.Session()
        self.session.trust_env = False

    def post(self, path: str = "/predictions/m", data: Any = b"picture", **more: Any) -> requests.Response:
        return self.session.post(self.url + path, data=data, timeout=20, **more)

    def get(self, path: str, **more: Any) -> requests.Response:
        return self.session.get(self.url + path, timeout=20, **more)

    def raw(self, sent: bytes, seconds: float = 10.0) -> bytes:
        """All that comes back on a connection of its own until the edge closes it, or for `seconds`."""
        with socket.create_connection((self.host, self.port), timeout=seconds) as connection:
            connection.sendall(sent)
            return received(connection)

    @property
    def seen(self) -> list[backend.Seen]:
        return [each for one in self.backends.values() for each in one.seen]


def received(connection: socket.socket) -> bytes:
    """What comes until the other side closes, or its time is up."""
    pieces = b""
    try:
        while piece := connection.recv(65536):
            pieces += piece
    except (TimeoutError, ConnectionResetError):
        pass
    return pieces


class Started(Protocol):
    def __call__(
        self,
        *,
        edge: EdgeSettings | None = None,
        limits: LimitSettings = LIMITS,
        keys: KeySettings | None = None,
        up: str = "ab",
        metadata: Mapping[str, Path] | None = None,
    ) -> Front: ...


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


def other_addresses() -> list[str]:
    """This machine's addresses beside loopback: who asks there comes from elsewhere, for all a server knows."""
    return [
        each.address
        for addresses in psutil.net_if_addrs().values()
        for each in addresses
        if each.family == socket.AF_INET and not each.address.startswith("127.")
    ]


@contextmanager
def starting(executable: Path) -> Iterator[Started]:
    """What starts fronts, all of which end with the context."""
    with ExitStack() as ending:
        # Short, for sockets lie in it.
        root = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="edge-", dir="/tmp")))

        def start(
            *,
            edge: EdgeSettings | None = None,
            limits: LimitSettings = LIMITS,
            keys: KeySettings | None = None,
            up: str = "ab",
            metadata: Mapping[str, Path] | None = None,
        ) -> Front:
            folder = Path(tempfile.mkdtemp(dir=root))
            slots = [Slot(name, folder / name / "inference.sock") for name in "ab"]
            backends = {
                slot.name: ending.enter_context(backend.listening(slot.socket, slot.name)) for slot in slots
            }
            address = (edge.address if edge else None) or free_address()
            settings = Serving(edge=edge or EdgeSettings(), limits=limits, keys=keys)
            running = HAProxyProcess(
                haproxy.examine(executable),
                settings.completed(folder, address=address, body=BODY),
                slots,
                folder / "edge",
                folder / "logs",
                metadata,
            )
            ending.callback(running.kill)
            for name in up:
                running.control.up(name)
            front = Front(running, address, backends, "https" if edge and edge.certificate else "http")
            ending.callback(front.session.close)
            return front

        yield start


@pytest.fixture(scope="session", params=EXECUTABLES, ids=lambda path: haproxy.examine(path).version)
def executable(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@pytest.fixture
def start(executable: Path) -> Iterator[Started]:
    with starting(executable) as started:
        yield started


@pytest.fixture(scope="module")
def shared_front(executable: Path) -> Iterator[Front]:
    """One for all tests of a module that leave it as they found it."""
    with starting(executable) as started:
        yield started()


@pytest.fixture
def front(shared_front: Front) -> Front:
    for each in shared_front.backends.values():
        each.seen.clear()
    return shared_front
