"""How HAProxy starts, goes on and ends."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
import requests
from tests.server.edge.conftest import BODY, LIMITS, free_address

from visionserve.server.edge import haproxy
from visionserve.server.edge.haproxy_process import HAProxyProcess
from visionserve.server.errors import ServerError
from visionserve.server.run.warden import Warden
from visionserve.server.settings.serving import EdgeSettings, Serving

if TYPE_CHECKING:
    from tests.server.edge.conftest import Front, Started


def folder(front: Front) -> Path:
    return front.edge.own.parent


def test_what_it_writes_is_its_owner_s_alone(start: Started) -> None:
    front = start()
    assert stat.S_IMODE(folder(front).stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder(front).iterdir()}
    assert set(modes.values()) == {0o600}
    sockets = {"worker.sock", "master.sock", "own.sock", "a.sock", "b.sock"}
    assert set(modes) == {"haproxy.cfg", "edge.map", "keys.map", *sockets}


def test_it_leads_a_session_of_its_own(start: Started) -> None:
    front = start()
    assert os.getsid(front.edge.pid) == front.edge.pid != os.getsid(0)


def test_it_sees_of_the_environment_what_it_needs(start: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "AWS_SECRET_ACCESS_KEY",
        "VISIONSERVE_KEY_PASSPHRASE",
        "VISIONSERVE_API_KEY",
        "HTTPS_PROXY",
        "xyzzy",
    ):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nowhere")
    front = start()
    front.edge.reload()  # the master starts itself anew
    master = psutil.Process(front.edge.pid)
    for process in (master, *master.children()):
        seen = {name for name in process.environ() if not name.startswith("HAPROXY_")}
        assert {"LD_LIBRARY_PATH", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"} <= seen
        assert seen <= set(haproxy.environment())
        assert "secret" not in process.environ().values()


def test_a_taken_address_is_one_line(start: Started) -> None:
    address = start().address
    with pytest.raises(ServerError, match=rf"cannot bind.*in use.*{address}") as refused:
        start(edge=EdgeSettings(address=address))
    assert "\n" not in str(refused.value)


def test_it_listens_nowhere_else(start: Started) -> None:
    front = start()
    processes = [psutil.Process(front.edge.pid), *psutil.Process(front.edge.pid).children(recursive=True)]
    listening = {
        (each.laddr.ip, each.laddr.port)
        for process in processes
        for each in process.net_connections(kind="inet")
        if each.status == psutil.CONN_LISTEN
    }
    assert listening == {(front.host, front.port)}


def test_draining_answers_what_it_has_and_refuses_what_comes(start: Started) -> None:
    front = start()
    answers: list[requests.Response] = []
    asking = threading.Thread(
        target=lambda: answers.append(requests.post(front.url + "/predictions/sleep-800", timeout=20))
    )
    asking.start()
    while not front.control.figures().under_way:
        time.sleep(0.01)
    front.control.set_draining(draining=True)
    refused = front.post()
    assert (refused.status_code, refused.json()["type"], refused.headers["Connection"]) == (
        503,
        "Draining",
        "close",
    )
    asking.join()
    assert answers[0].status_code == 200
    assert front.control.figures().under_way == 0


def test_ending_it_answers_on_the_connections_that_are_there(start: Started) -> None:
    front = start()
    front.control.set_draining(draining=True)
    with socket.create_connection((front.host, front.port), timeout=10) as idle:
        ending = threading.Thread(target=front.edge.end)
        ending.start()
        # Not by trying to connect: one that is under way just then is reset, not refused.
        end = time.monotonic() + 5
        while _listens(front.port) and time.monotonic() < end:
            time.sleep(0.001)
        with pytest.raises(ConnectionRefusedError):  # nobody new comes in
            socket.create_connection((front.host, front.port), timeout=10)
        idle.sendall(b"POST /predictions/quick HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert idle.recv(1000).startswith(b"HTTP/1.1 503")
    ending.join(20)
    assert not front.edge.alive


def _listens(port: int) -> bool:
    return any(
        found.status == psutil.CONN_LISTEN and found.laddr and found.laddr.port == port
        for found in psutil.net_connections("tcp")
    )


def test_killing_it_waits_for_no_answer(start: Started) -> None:
    front = start()

    def ask() -> None:
        with pytest.raises(requests.ConnectionError):
            requests.post(front.url + "/predictions/sleep-3000", timeout=20)

    asking = threading.Thread(target=ask)
    asking.start()
    while not front.control.figures().under_way:
        time.sleep(0.01)
    began = time.monotonic()
    front.edge.kill()
    assert time.monotonic() - began < 2
    assert not front.edge.alive
    assert not psutil.pid_exists(front.edge.pid)
    asking.join()


def test_a_killed_worker_ends_all_of_it(start: Started) -> None:
    front = start()
    (worker,) = front.control.workers()
    os.kill(worker, 9)
    end = time.monotonic() + 5
    while front.edge.alive and time.monotonic() < end:
        time.sleep(0.01)
    assert not front.edge.alive


def test_states_and_facts_outlive_a_reload(start: Started) -> None:
    front = start(up="b")
    front.control.set_restart_time(9)
    (before,) = front.control.workers()
    front.edge.reload()
    (after,) = front.control.workers()
    assert before != after
    assert {name: slot.state for name, slot in front.control.figures().slots.items()} == {"a": "down", "b": "up"}
    assert front.post().json()["slot"] == "b"
    front.control.drain("b")
    front.edge.reload()
    assert front.control.figures().slots["b"].state == "drain"
    assert front.post().headers["Retry-After"] == "9"


def test_its_figures_are_told_while_old_workers_end(start: Started) -> None:
    front = start()
    for _ in range(10):
        # An open connection keeps the old worker until it is closed, a moment before the figures are asked for.
        with requests.Session() as session:
            session.get(f"http://{front.address}/livez", timeout=10)
            front.edge.reload()
        for _ in range(10):
            assert front.edge.control.figures().under_way == 0


def test_the_server_asks_on_a_socket_of_its_own(start: Started) -> None:
    import http.client
    import socket

    front = start()
    connection = http.client.HTTPConnection("own")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(front.edge.own))
    connection.request("POST", "/predictions/m", b"picture")
    assert connection.getresponse().status == 200
    connection.close()


def test_too_long_a_folder_is_said(start: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visionserve.server.run.folder.LONGEST_SOCKET", 20)
    with pytest.raises(ServerError, match="too long a path"):
        start()


def test_a_warden_ends_it(executable: Path, tmp_path: Path) -> None:
    warden = Warden()
    settings = Serving(limits=LIMITS).completed(tmp_path, address=free_address(), body=BODY)
    with tempfile.TemporaryDirectory(prefix="edge-", dir="/tmp") as folder:
        edge = HAProxyProcess(
            haproxy.examine(executable), settings, [], Path(folder), tmp_path / "logs", warden=warden
        )
        children = psutil.Process(edge.pid).children()
        assert children
        warden.close()
        _, alive = psutil.wait_procs(children, timeout=5)
        edge.kill()
        assert not alive
