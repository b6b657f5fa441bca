"""The edge as the supervisor has it: told what is so, again and again, and to the next HAProxy too."""

from __future__ import annotations

import errno
import os
import signal
import socket
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
import requests
from tests.server.edge.conftest import LIMITS, free_address
from tests.support import backend
from tests.support.packed import pack

from visionserve.server.edge import commands, control
from visionserve.server.edge.configuration import Slot
from visionserve.server.errors import ServerError
from visionserve.server.run.folder import RunFolder
from visionserve.server.run.warden import Warden
from visionserve.server.settings.serving import Serving
from visionserve.server.supervision import front as front_module
from visionserve.server.supervision.front import Front

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.backend import Backend

SETTINGS = Serving(limits=replace(LIMITS, concurrent=1, queue=50, queue_seconds=20.0, upload_seconds=2.0))


@pytest.fixture
def instance() -> Iterator[tuple[Backend, Slot, RunFolder]]:
    with tempfile.TemporaryDirectory(prefix="front-", dir="/tmp") as name:
        folder = RunFolder(Path(name))
        slot = Slot("a", folder.slot("a") / "inference.sock")
        with backend.listening(slot.socket, "a") as one:
            yield one, slot, folder


@pytest.fixture
def front(instance: tuple[Backend, Slot, RunFolder], tmp_path: Path) -> Iterator[Front]:
    _, slot, folder = instance
    settings = SETTINGS.completed(tmp_path, address=free_address(), body=1_000_000)
    warden = Warden()
    archives = {"m": pack(tmp_path / "store", "m")}
    edge = Front(settings, [slot], folder, tmp_path / "logs", archives, warden)
    edge.control.up("a")
    yield edge
    edge.end()
    warden.close()


def until(done: Callable[[], object], front: Front, seconds: float = 20.0) -> None:
    """Tell the edge what is so until something is."""
    end = time.monotonic() + seconds
    while not done():
        front.revive(["a"])
        front.tell(is_ready=True)
        assert time.monotonic() < end
        time.sleep(0.05)


def fact(front: Front, name: str) -> int:
    said = commands.ask(front.control._folder / control.WORKER, f"get map {control.FACTS} {name}")
    return int(said.partition('value="')[2].partition('"')[0])


def ask(front: Front, body: bytes = b"picture") -> int:
    return requests.post(f"{front.url}/predictions/m", body, timeout=60).status_code


def test_what_a_request_takes_is_told_while_requests_wait(
    front: Front, instance: tuple[Backend, Slot, RunFolder]
) -> None:
    instance[0].busy = 0.4
    before = fact(front, "service_ms")
    asking = [threading.Thread(target=lambda: [ask(front) for _ in range(3)]) for _ in range(4)]
    for each in asking:
        each.start()
    until(lambda: fact(front, "service_ms") != before, front)
    found = fact(front, "service_ms")
    for each in asking:
        each.join()
    assert 200 < found < 1600  # 400 ms; what a look finds answered may have begun before the last one


def test_a_large_request_that_trickles_is_ended(front: Front) -> None:
    status: list[int] = []

    def trickle() -> Iterator[bytes]:
        yield b"x" * 300_000
        while not status:
            yield b"x"
            time.sleep(0.1)

    def send() -> None:
        try:
            prepared = requests.Request("POST", f"{front.url}/predictions/m", data=trickle()).prepare()
            del prepared.headers["Transfer-Encoding"]
            prepared.headers["Content-Length"] = "900000"
            with requests.Session() as session:
                status.append(session.send(prepared, timeout=60).status_code)
        except requests.RequestException:
            status.append(0)

    sending = threading.Thread(target=send)
    sending.start()
    until(lambda: status, front)
    sending.join()
    assert status[0] != 200


def test_the_next_one_is_told_what_the_last_one_was(front: Front) -> None:
    front.tell(is_ready=True)
    ready = f"{front.url}/readyz"
    assert requests.get(ready, timeout=20).status_code == 200
    front.tell(is_ready=False)
    assert requests.get(ready, timeout=20).status_code == 503
    killed(front)
    front.revive(["a"])
    front.tell(is_ready=False)
    assert requests.get(ready, timeout=20).status_code == 503
    front.tell(is_ready=True)
    assert (front.restarts, ask(front), requests.get(ready, timeout=20).status_code) == (1, 200, 200)
    assert requests.get(f"{front.url}/v2/models/m", timeout=20).json()["name"] == "m"
    front.revive(["a"])
    assert front.restarts == 1


def killed(front: Front) -> None:
    haproxies = [each for each in psutil.Process().children() if each.name() == "haproxy"]
    ended = [process for each in haproxies for process in (each, *each.children())]
    for haproxy in haproxies:
        os.killpg(haproxy.pid, signal.SIGKILL)
    psutil.wait_procs(ended, timeout=10)


def test_one_that_is_killed_while_it_drains_is_followed_by_one_that_drains(
    front: Front, instance: tuple[Backend, Slot, RunFolder]
) -> None:
    instance[0].busy = 1.0
    front.control.set_restart_time(7)
    statuses: list[int] = []

    def send() -> None:
        try:
            statuses.append(ask(front))
        except requests.ConnectionError:
            statuses.append(0)

    asking = threading.Thread(target=send)
    asking.start()
    until(lambda: front.control.figures().under_way, front)
    looks: list[tuple[int, str]] = []
    begun: list[bool] = []

    def go_on() -> bool:
        begun.append(True)
        if len(begun) == 1:
            return True
        killed(front)
        front.revive(["a"])
        answer = requests.post(f"{front.url}/predictions/m", b"picture", timeout=20)
        looks.append((answer.status_code, answer.headers.get("Retry-After", "")))
        return True

    front.drain(10.0, go_on)
    asking.join()
    assert looks == [(503, "7")]
    assert front.restarts == 1


@pytest.mark.parametrize("which", ["master", "worker"])
def test_one_that_is_stopped_is_followed_by_another(which: str, front: Front) -> None:
    (master,) = [each for each in psutil.Process().children() if each.name() == "haproxy"]
    stopped = master if which == "master" else master.children()[0]
    os.kill(stopped.pid, signal.SIGSTOP)
    began = time.monotonic()
    while stopped.status() != psutil.STATUS_STOPPED:
        assert time.monotonic() - began < 10
    until(lambda: front.restarts == 1, front)
    assert (ask(front), front.trouble) == (200, "")
    assert time.monotonic() - began < 15


def test_one_that_cannot_be_started_again_is_not_ready(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    front.revive(["a"])
    front.tell(is_ready=True)
    assert (front.is_ready, front.trouble) == (True, "")
    killed(front)
    host, port = front.url.removeprefix("http://").split(":")
    with socket.create_server((host, int(port))):
        for _ in range(2):
            with pytest.raises(ServerError, match="in use"):
                front.revive(["a"])
            assert not front.is_ready
            assert "in use" in front.trouble
    front.revive(["a"])
    front.tell(is_ready=True)
    assert (front.is_ready, front.trouble, front.restarts, ask(front)) == (True, "", 1, 200)


def test_models_that_it_cannot_be_told_of_cost_nothing_that_is_served(
    front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    front.show({"n": pack(tmp_path / "store", "n")})
    with monkeypatch.context() as full:

        def reload(*_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        full.setattr(front._edge, "reload", reload)
        full.setattr(front_module, "_SHOWN_AGAIN", 0.0)
        for _ in range(2 * front_module._SILENT):
            front.revive(["a"])
            with pytest.raises(OSError, match="No space"):
                front.describe()
        assert (front.restarts, ask(front)) == (0, 200)
        assert "clients are told of the models of before" in front.trouble
    front.revive(["a"])
    front.describe()
    assert (front.restarts, front.trouble) == (0, "")
    assert requests.get(f"{front.url}/v2/models/n", timeout=20).status_code == 200


def test_keys_are_not_read_anew_by_a_server_that_was_started_without(front: Front) -> None:
    with pytest.raises(ServerError, match="started without keys and certificate"):
        front.reload_keys()
