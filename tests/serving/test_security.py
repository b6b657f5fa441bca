"""What SECURITY.md promises of a server: where it listens, what it refuses, what workers do not inherit."""

from __future__ import annotations

import ipaddress
import re
import socket
import subprocess
from typing import TYPE_CHECKING

import psutil
import pytest
import requests
from tests.runtime.decoders.test_pool import have_ended, until
from tests.serving.conftest import NAMED, SECRETS
from tests.support.pictures import bombs, corpus, encoding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from visionserve.client import Client
    from visionserve.server.instance.launcher import TorchServe

TIMEOUT = 30.0
# A path of two parts or more that is no media type, a Python file, or a line of a traceback.
TELLING = re.compile(r"(?<![\w:/])(/[\w.-]+){2,}|\.py\b|Traceback|line \d+|\b0x[0-9a-f]{6,}")


def tree(server: TorchServe) -> list[psutil.Process]:
    root = psutil.Process(server.process.pid)
    return [root, *root.children(recursive=True)]


@pytest.fixture
def models_stay(client: Client) -> Iterator[None]:
    before = sorted(client.models())
    yield
    assert sorted(client.models()) == before


def test_it_listens_on_loopback_alone(server: TorchServe) -> None:
    addresses = {
        connection.laddr.ip
        for process in tree(server)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses
    assert all(ipaddress.ip_address(address.removeprefix("::ffff:")).is_loopback for address in addresses)


@pytest.mark.usefixtures("models_stay")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "models?url=https://127.0.0.1/evil.mar"),
        ("POST", "models?url=quick.mar&model_name=again"),
        ("POST", "models?url=file:///etc/passwd"),
        ("DELETE", "models/quick"),
        ("POST", "workflows?url=https://127.0.0.1/evil.war"),
        ("POST", "workflows?url=file:///etc/passwd"),
    ],
)
def test_no_code_is_loaded_over_rest(method: str, path: str, server: TorchServe) -> None:
    for address in (server.properties.management, server.properties.inference):
        answer = requests.request(method, f"{address}/{path}", timeout=TIMEOUT)
        assert 400 <= answer.status_code < 500, answer.text


@pytest.mark.usefixtures("models_stay")
@pytest.mark.parametrize(
    ("method", "message"),
    [
        # Field 9 is a URL, 5 and 1 are a name.
        ("RegisterModel", b"\x4a\x1ahttps://127.0.0.1/evil.mar"),
        ("RegisterModel", b"\x4a\x09quick.mar\x2a\x05again"),
        ("UnregisterModel", b"\x0a\x05quick"),
    ],
)
def test_no_code_is_loaded_over_grpc(method: str, message: bytes, server: TorchServe) -> None:
    port = server.properties.values["grpc_management_port"]
    service = "org.pytorch.serve.grpc.management.ManagementAPIsService"
    headers = subprocess.run(
        [
            *("curl", "--silent", "--http2-prior-knowledge", "--max-time", str(TIMEOUT)),
            *("--header", "Content-Type: application/grpc", "--header", "TE: trailers"),
            *("--data-binary", "@-", "--dump-header", "-", f"http://127.0.0.1:{port}/{service}/{method}"),
        ],
        input=b"\0" + len(message).to_bytes(4, "big") + message,
        capture_output=True,
        check=True,
    ).stdout.decode()
    assert "grpc-status: 7" in headers  # permission denied
    assert "Model API disabled" in headers


def test_nobody_can_connect_to_grpc(server: TorchServe) -> None:
    port = int(server.properties.values["grpc_inference_port"])
    listening = {each.laddr for process in tree(server) for each in process.net_connections("inet")}
    (where,) = {address.ip for address in listening if address.port == port}
    for host in (where, "127.0.0.1", "::1"):
        with pytest.raises(OSError, match=r"unreachable|refused|assign"):
            socket.create_connection((host, port), TIMEOUT)


def test_workers_and_decoders_inherit_no_secrets(server: TorchServe) -> None:
    below = [process for process in tree(server) if "python" in process.name().lower()]
    decoders = [process for process in below if "visionserve.runtime.decoders" in " ".join(process.cmdline())]
    assert decoders
    assert len(below) > len(decoders)
    for process in below:
        inherited = process.environ()
        assert inherited
        assert not SECRETS.keys() & inherited.keys()
        assert inherited.items() >= NAMED.items()


@pytest.mark.usefixtures("same_workers")
def test_decoders_that_end_take_no_worker_along(server: TorchServe, quick_url: str) -> None:
    # A decoder is forked from its template, so it is called as that.
    called = "visionserve.runtime.decoders.template"
    decoders = [process for process in tree(server) if called in process.cmdline()]
    for process in decoders:
        process.kill()
    until(lambda: have_ended(decoders))
    picture = encoding.encoded(encoding.picture(), "JPEG")
    for _ in range(4):
        assert requests.post(quick_url, data=picture, timeout=TIMEOUT).status_code == requests.codes.ok


def test_errors_tell_nothing_of_the_server(quick_url: str) -> None:
    pictures = [variant.data for variant in (*corpus.variants(), *bombs.variants())]
    documents = [
        b"[",
        b"{}",
        b'{"image_data": 1}',
        b'{"image_data": "/etc/passwd"}',
        b'{"inputs": [{"name": "/a/b"}]}',
    ]
    options = [{"X-Top-K": "many"}, {"X-Response": "all"}, {"X-Request-Deadline-Ms": "-"}]
    asked = [
        *((data, {"Content-Type": "image/jpeg"}) for data in pictures),
        *((data, {"Content-Type": "application/json"}) for data in documents),
        *((pictures[0], option) for option in options),
    ]
    refused = 0
    for body, headers in asked:
        answer = requests.post(quick_url, data=body, headers=headers, timeout=TIMEOUT)
        if answer.status_code != requests.codes.ok:
            refused += 1
            assert TELLING.search(answer.text) is None, answer.text
    assert refused > 50
