"""Other servers around the same worker give the answers that TorchServe gives, bit for bit."""

from __future__ import annotations

import base64
import json
import os
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest
import requests
from tests.conftest import REPOSITORY
from tests.support.pictures import corpus

from benchmarks import process
from visionserve.runtime.machine import cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from visionserve.server.instance.launcher import TorchServe

pytestmark = pytest.mark.slow

JPEG, JSON = "image/jpeg", "application/json"
PICTURES = [variant.data for variant in corpus.variants()]


def as_body(data: bytes) -> tuple[bytes, str]:
    return data, JPEG


def as_json(data: bytes) -> tuple[bytes, str]:
    return json.dumps({"image_data": base64.b64encode(data).decode()}).encode(), JSON


def asgi(unpacked: Path, port: int) -> list[str]:
    return ["benchmarks.contenders.asgi_program", str(unpacked), str(port)]


def litserve(unpacked: Path, port: int) -> list[str]:
    batching = {"max_batch_size": 8, "batch_timeout": 0.001}
    job = {"port": port, "archive": str(unpacked), "batching": batching}
    return ["benchmarks.contenders.litserve_engine", json.dumps(job)]


def on_cores(count: int) -> list[str]:
    """What to write before a command so that it finds that many cores."""
    chosen = sorted(os.sched_getaffinity(0))[:count]
    return ["taskset", "--cpu-list", ",".join(map(str, chosen))]


@pytest.fixture(params=[("fastapi", asgi, as_body), ("litserve", litserve, as_json)], ids=["asgi", "litserve"])
def ask(
    request: pytest.FixtureRequest, server: TorchServe, tmp_path: Path
) -> Iterator[Callable[[bytes], requests.Response]]:
    """A server around the worker that has the archive TorchServe serves; ask it for a picture."""
    library, arguments, body = request.param
    pytest.importorskip(library, reason="the benchmark group is not installed: make test-all")
    with zipfile.ZipFile(server.archives["quick"]) as mar:
        mar.extractall(tmp_path / "unpacked")
    port = process.free_port()
    module, *rest = arguments(tmp_path / "unpacked", port)
    # As many cores as each worker of `quick` has: with other numbers of threads sums come in another order.
    command = [*on_cores(cores.threads(workers=2)), sys.executable, "-m", module, *rest]
    child = process.Child(command, tmp_path / "output.log", REPOSITORY, {})
    url = f"http://127.0.0.1:{port}/predict"
    try:
        child.wait_until(lambda: process.answers(url, *body(PICTURES[0])), module)
        with requests.Session() as session:

            def post(data: bytes) -> requests.Response:
                content, kind = body(data)
                return session.post(url, data=content, headers={"Content-Type": kind}, timeout=30)

            yield post
    finally:
        child.stop()


def test_the_answers_are_torchserves_bit_for_bit(
    ask: Callable[[bytes], requests.Response], quick_url: str
) -> None:
    compared = 0
    with requests.Session() as torchserve:
        for data in PICTURES:
            if not data:
                continue  # JSON cannot say that there is no body
            right = torchserve.post(quick_url, data=data, headers={"Content-Type": JPEG}, timeout=30)
            got = ask(data)
            assert (got.status_code, got.content) == (right.status_code, right.content)
            assert got.headers["X-Batch-Size"] == "1"
            assert ("X-Stage-Times" in got.headers) == (right.status_code == 200)
            compared += 1
    assert compared > 50
