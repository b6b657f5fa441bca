"""A real TorchServe goes by the settings that were checked, and by no others."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
import requests
from tests.support import quick

from visionserve.client import Client
from visionserve.server.instance import health
from visionserve.server.instance.launcher import TorchServe
from visionserve.server.settings import heap
from visionserve.server.settings.properties import Properties

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT = 60.0
# Whoever goes by them listens elsewhere, has no metrics, and takes no picture.
TRAPS = """\
inference_address=http://127.0.0.1:{inference}
management_address=http://127.0.0.1:{management}
enable_metrics_api=false
max_request_size=10
"""
QUEUE = 100


@pytest.fixture(scope="module")
def archive(project: Path) -> dict[str, Path]:
    """The quick network with one worker."""
    return {"one-worker": quick.build(project, "one-worker", workers=1).archive.path}


@pytest.fixture
def properties(project: Path) -> Properties:
    return Properties.read(project / "config.properties").on_free_ports()


def await_answer(server: TorchServe) -> None:
    """Wait until the front end listens; its models may still be loading."""
    end = time.monotonic() + TIMEOUT
    with Client(server.properties.inference, server.properties.management) as client:
        while not client.is_there():
            assert time.monotonic() < end
            assert server.process.poll() is None
            time.sleep(0.05)


def test_neither_the_environment_nor_a_snapshot_changes_anything(
    archive: dict[str, Path], properties: Properties, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = properties.on_free_ports()
    ports = {name: getattr(elsewhere, name).rpartition(":")[2] for name in ("inference", "management")}
    trap = tmp_path / "trap.properties"
    trap.write_text(TRAPS.format(**ports))
    snapshots = tmp_path / "logs" / "config"
    snapshots.mkdir(parents=True)
    snapshot = snapshots / "20200101000000000-shutdown.cfg"
    snapshot.write_text(TRAPS.format(**ports))
    monkeypatch.setenv("TS_CONFIG_FILE", str(trap))
    monkeypatch.setenv("TS_MAX_REQUEST_SIZE", "10")
    monkeypatch.chdir(tmp_path)
    with TorchServe(archive, properties, tmp_path / "logs") as server:
        await_answer(server)
        metrics = requests.get(f"{properties.values['metrics_address']}/metrics", timeout=TIMEOUT)
        assert metrics.status_code == requests.codes.ok
        answer = requests.post(f"{properties.inference}/predictions/nobody", data=bytes(1000), timeout=TIMEOUT)
        assert answer.status_code == requests.codes.not_found
        with Client(elsewhere.inference, elsewhere.management) as other:
            assert not other.is_there()
        server.process.kill()
    assert list(snapshots.iterdir()) == [snapshot]


@pytest.mark.slow
def test_a_full_queue_of_the_largest_requests_does_not_end_the_server(
    archive: dict[str, Path], properties: Properties, tmp_path: Path
) -> None:
    """On the smallest heap that is allowed for it."""
    body = 1_000_000
    smallest = -(-heap.needed(QUEUE * body) // (1 << 20))
    properties = properties.replace(
        max_request_size=str(body), vmargs=f"-Xmx{smallest}m -XX:+ExitOnOutOfMemoryError"
    )
    assert heap.require_room(properties, archive) is None
    answers: Counter[int] = Counter()
    data = random.Random(0).randbytes(body - 4096)

    def send() -> None:
        url = f"{properties.inference}/predictions/one-worker"
        status = requests.post(url, data=data, headers={"Content-Type": "image/jpeg"}, timeout=TIMEOUT).status_code
        answers[status] += 1

    with TorchServe(archive, properties, tmp_path / "logs") as server:
        list(health.wait_until_ready(server, timeout=120))
        with Client(properties.inference, properties.management) as client:
            workers = client.worker_pids("one-worker")
            for worker in workers:
                os.kill(worker, signal.SIGSTOP)
            clients = [threading.Thread(target=send) for _ in range(QUEUE + 20)]
            for each in clients:
                each.start()
            end = time.monotonic() + TIMEOUT
            while client.describe("one-worker")["jobQueueStatus"]["remainingCapacity"]:
                assert time.monotonic() < end
                time.sleep(0.1)
            for worker in workers:
                os.kill(worker, signal.SIGCONT)
            for each in clients:
                each.join()
        assert server.process.poll() is None
        server.process.kill()
    assert set(answers) == {requests.codes.bad_request, requests.codes.service_unavailable}
    assert answers[requests.codes.bad_request] > QUEUE
