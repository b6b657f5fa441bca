"""What the generator itself can send at most: its rate against a server that reads requests and does nothing.

python -m visionserve.load.sending.ceiling runs that server alone, and prints its port.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from visionserve.load import machine
from visionserve.load.errors import LoadError
from visionserve.load.judging import validity
from visionserve.load.plan import Plan
from visionserve.load.sending import keeping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from visionserve.load.sending.generator import Session
    from visionserve.load.sending.keeping import Keeper
    from visionserve.project import Project

_USERS = 16
_HEAD_END = b"\r\n\r\n"
_ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{"none": 1.0}'


class Responder(asyncio.Protocol):
    """Reads HTTP/1.1 requests with a `Content-Length` and answers each at once; connections stay open."""

    def __init__(self) -> None:
        self._head = b""
        self._body = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection to answer on."""
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Count a body's bytes; its end is a whole request."""
        while data:
            if self._body == 0:
                self._head += data
                if _HEAD_END not in self._head:
                    return
                head, data = self._head.split(_HEAD_END, 1)
                self._head = b""
                self._body = self._length(head)
                if self._body == 0:
                    self.answer()
                    continue
            taken = min(self._body, len(data))
            self._body -= taken
            data = data[taken:]
            if self._body == 0:
                self.answer()

    def answer(self) -> None:
        """Answer one request."""
        self.transport.write(_ANSWER)

    @staticmethod
    def _length(head: bytes) -> int:
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length":
                return int(value)
        return 0


async def serve(responder: type[Responder]) -> None:
    """Serve on a free loopback port, printed as one line, until cancelled."""
    server = await asyncio.get_running_loop().create_server(responder, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201  # the parent reads it
    await server.serve_forever()


@contextmanager
def running(command: list[str], keeper: Keeper | None = None) -> Iterator[str]:
    """Run a server that prints its port; yields its base URL."""
    with keeping.process(command, keeper, subprocess.PIPE) as process:
        assert process.stdout is not None  # noqa: S101  # it was asked for above
        port = process.stdout.readline().strip().decode()
        if not port:
            raise LoadError(f"{' '.join(command)} did not start")
        yield f"http://127.0.0.1:{port}"


def measure(session: Session, generators: int = 1, seconds: float = 3.0) -> dict[str, Any]:
    """The requests per second that the generator reaches with a session's corpus, and the cores it used."""
    plan = Plan(users=_USERS * generators, warm_up=1.0, duration=seconds, generators=generators)
    with keeping.folder(session.keeper) as folder:
        with running([sys.executable, "-m", "visionserve.load.sending.ceiling"], session.keeper) as host:
            run = replace(session, host=host, facts={}, extra=()).run(plan, folder / "run")
        samples = run.samples[run.samples["phase"] == 1]
        elapsed = float(samples["answered"].max() - samples["scheduled"].min()) / 1e9
        return {
            "requests_per_second": round(len(samples) / elapsed, 1),
            "cpu": round(validity.cpu(samples), 2),
            "generators": generators,
        }


def known(project: Project, session: Session, generators: int = 1) -> dict[str, Any]:
    """The generator's ceiling with this corpus on this machine: as stored in the project, else measured now."""
    path = project.ceiling
    key = json.dumps([session.corpus.digest, machine.describe(), machine.versions(), generators], sort_keys=True)
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        stored = {}
    if stored.get("key") != key:
        stored = {"key": key, "ceiling": measure(session, generators)}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(stored), encoding="utf-8")
    ceiling: dict[str, Any] = stored["ceiling"]
    return ceiling


if __name__ == "__main__":
    asyncio.run(serve(Responder))
