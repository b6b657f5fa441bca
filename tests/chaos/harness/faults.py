"""The faults of the mixed run, each a kind that comes again and again."""

from __future__ import annotations

import random
import signal
import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

import requests
from tests.chaos.conftest import aimed
from tests.chaos.harness.archive_file import ArchiveFile
from tests.chaos.harness.served import PICTURE
from tests.support.pictures import bombs

from visionserve import api_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import psutil
    from tests.chaos.harness.served import Served

_FORM = b"a&" * 9_950_000
_SENDERS, _SENDING = 200, 20.0  # seconds
_BURST, _BURSTING = 64, 500  # clients, and answers to them
_BOMB = 700_000  # bytes
_FIRST_BYTES = b"POST /predictions/quick HTTP/1.1\r\nHost: x\r\n%s\r\nContent-Length: 20000\r\n\r\n"


@dataclass
class Faults:
    """Does what a server must survive.

    Args:
        server: The server; its `server.yaml` asks for keys, of which it has `key`.
        key: What the traffic is let in by.
        seed: Decides which of several equal parts it is.
    """

    server: Served
    key: str
    seed: int
    _others: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._archive = ArchiveFile(self.server.root / "model_store" / "quick.mar")

    def order(self, times: int) -> list[str]:
        """So many kinds in a random order that visits all of them before one comes again."""
        found: list[str] = []
        while len(found) < times:
            found += self._random.sample(list(KINDS), len(KINDS))
        return found[:times]

    def do(self, kind: str) -> Sequence[psutil.Process]:
        """Do it; what it returns is gone once the server has healed."""
        return KINDS[kind](self) or ()

    def worker(self, number: signal.Signals) -> Sequence[psutil.Process]:
        """One of the workers gets a signal."""
        return self._signalled(self.server.worker_processes(), number)

    def java(self, number: signal.Signals) -> Sequence[psutil.Process]:
        """One of the Javas gets a signal."""
        return self._signalled(self.server.of("java"), number)

    def edge(self, *, master: bool) -> Sequence[psutil.Process]:
        """HAProxy's master, or its worker, is killed."""
        (haproxy,) = self.server.of("haproxy")
        return self._signalled([haproxy] if master else haproxy.children(), signal.SIGKILL)

    def _signalled(self, processes: Sequence[psutil.Process], number: signal.Signals) -> Sequence[psutil.Process]:
        chosen = self._random.choice(processes)
        chosen.send_signal(number)
        return [chosen]

    def reload(self, *, good: bool) -> None:
        """The archive, or one that lacks a bit of it, is reloaded."""
        self._archive.replace(good=good)
        done = self.server.run("reload")
        self._archive.replace(good=True)
        assert (done.returncode == 0) == good, done.stdout + done.stderr
        assert good or "is not what was built" in done.stderr

    def keys(self) -> None:
        """A key is added, the one that was added before is revoked."""
        name = f"other{len(self._others)}"
        key = self.server.run("key", "add", name).stdout.strip()
        revoked = self._others[-1:]
        if revoked:
            self.server.run("key", "remove", f"other{len(self._others) - 1}")
        self._others.append(key)
        done = self.server.run("reload", "--keys")
        assert done.returncode == 0, done.stderr
        assert self._status(PICTURE, key=key) == HTTPStatus.OK
        assert all(self._status(PICTURE, key=each) == HTTPStatus.UNAUTHORIZED for each in revoked)

    def form(self) -> None:
        """A form of 20 MB, of fields that say nothing."""
        assert 400 <= self._status(_FORM, {"Content-Type": "application/x-www-form-urlencoded"}) < 500

    def bomb(self) -> None:
        """A picture made to be expensive."""
        name = self._random.choice(list(bombs.STRUCTURES))
        assert self._status(bombs.STRUCTURES[name](_BOMB)) == HTTPStatus.BAD_REQUEST, name

    def _status(self, body: bytes, headers: Mapping[str, str] | None = None, key: str = "") -> int:
        url = f"{self.server.url}/predictions/quick"
        sent = {**api_key.header(key or self.key), **(headers or {})}
        return requests.post(url, body, headers=sent, timeout=60).status_code

    def slow(self) -> None:
        """Clients that send a byte a second."""
        host, port = self.server.url.removeprefix("http://").split(":")
        header = "".join(f"{name}: {value}" for name, value in api_key.header(self.key).items())
        with ExitStack() as stack:
            senders = [
                stack.enter_context(socket.create_connection((host, int(port)), timeout=10))
                for _ in range(_SENDERS)
            ]
            for sender in senders:
                sender.sendall(_FIRST_BYTES % header.encode())
            end = time.monotonic() + _SENDING
            while time.monotonic() < end:
                for sender in senders:
                    sender.sendall(b"x")
                time.sleep(1)

    def burst(self) -> None:
        """Many more clients at once, from one moment to the next."""
        with aimed(self.server, _BURST, self.key) as traffic:
            traffic.wait_for(_BURSTING)
        assert traffic.lost == {}


KINDS: dict[str, Callable[[Faults], Sequence[psutil.Process] | None]] = {
    "a worker killed": lambda faults: faults.worker(signal.SIGKILL),
    "a worker stopped (SIGSTOP)": lambda faults: faults.worker(signal.SIGSTOP),
    "a Java killed": lambda faults: faults.java(signal.SIGKILL),
    "a Java stopped (SIGSTOP)": lambda faults: faults.java(signal.SIGSTOP),
    "HAProxy's master killed": lambda faults: faults.edge(master=True),
    "HAProxy's worker killed": lambda faults: faults.edge(master=False),
    "a good archive reloaded": lambda faults: faults.reload(good=True),
    "a bad archive reloaded": lambda faults: faults.reload(good=False),
    "a key added, another revoked": Faults.keys,
    "a form of 20 MB": Faults.form,
    f"{_SENDERS} slow senders for {_SENDING:.0f} s": Faults.slow,
    "a picture made to be expensive": Faults.bomb,
    f"a burst of {_BURST} clients": Faults.burst,
}
# What is under way when HAProxy itself is killed cannot be asked again by anybody but its client.
CUTTING = {"HAProxy's master killed", "HAProxy's worker killed"}
