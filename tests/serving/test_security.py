"""What SECURITY.md promises of a server: where it listens, what it refuses, what workers do not inherit."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import psutil
import pytest
import requests
from tests.serving.conftest import SECRETS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from visionserve.client import Client
    from visionserve.server.launcher import TorchServe

TIMEOUT = 30.0


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


def test_workers_and_decoders_inherit_no_secrets(server: TorchServe) -> None:
    below = [process for process in tree(server) if "python" in process.name().lower()]
    decoders = [process for process in below if "visionserve.runtime.decoders" in " ".join(process.cmdline())]
    assert decoders
    assert len(below) > len(decoders)
    for process in below:
        inherited = process.environ()
        assert inherited
        assert not SECRETS.keys() & inherited.keys()
