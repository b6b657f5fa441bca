"""A client hears an answer that comes before its request is sent, over TCP, TLS and Unix sockets."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.abrupt import Abrupt, running

from visionserve import connection
from visionserve.calls import Refused, Unreachable
from visionserve.client import Client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGE = bytes(20_000_000)
# More than the buffers of both ends of a connection hold, so that sending it waits for who reads.
SECONDS = 10.0


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost and its key, in one PEM file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return path


@pytest.fixture(params=["tcp", "tls", "unix"])
def transport(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def serve(transport: str, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Runs a server over one of the transports."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    @contextmanager
    def call(abrupt: Abrupt) -> Iterator[Abrupt]:
        tls = None
        if transport == "tls":
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(certificate)
        with running(abrupt, str(tmp_path / "s.sock") if transport == "unix" else None, tls) as server:
            yield server

    return call


@pytest.mark.parametrize("status", [401, 413, 429])
def test_an_early_answer_of_a_server_that_closes_is_told(status: int, serve: Any) -> None:
    for _ in range(5):  # who is first, the answer or the reset, is for the scheduler to say
        with serve(Abrupt(status)) as server, Client(server.address) as client:
            with pytest.raises(Refused) as refused:
                client.predict("resnet50", LARGE)
            assert (refused.value.status, refused.value.type) == (status, "No")


@pytest.mark.parametrize("transport", ["tcp", "unix"], indirect=True)
def test_an_early_answer_of_a_server_that_reads_no_further_is_told_at_once(serve: Any) -> None:
    with serve(Abrupt(413, stays=True)) as server, Client(server.address) as client:
        start = time.monotonic()
        with pytest.raises(Refused, match="413"):
            client.predict("resnet50", LARGE)
        assert time.monotonic() - start < SECONDS


def test_after_an_early_answer_the_next_request_has_a_connection_of_its_own(serve: Any) -> None:
    with serve(Abrupt(413)) as server, Client(server.address) as client:
        with pytest.raises(Refused):
            client.predict("resnet50", LARGE)
        server.status = 200
        assert client.predict("resnet50", LARGE) == server.answer
        assert client.predict("resnet50", LARGE) == server.answer
        assert server.connections == 2


@pytest.mark.parametrize("transport", ["tcp", "unix"], indirect=True)
def test_after_an_answer_to_half_a_request_its_connection_is_not_used_again(serve: Any) -> None:
    with serve(Abrupt(413, stays=True)) as server, Client(server.address) as client:
        with pytest.raises(Refused):
            client.predict("resnet50", LARGE)
        server.status = 200
        assert client.predict("resnet50", b"x") == server.answer
        assert server.connections == 2


def test_a_large_request_arrives_whole_and_the_connection_is_kept(serve: Any) -> None:
    with serve(Abrupt(200)) as server, Client(server.address) as client:
        for data in (LARGE, b"small", LARGE):
            assert client.predict("resnet50", data) == server.answer
        assert server.connections == 1
        assert [f"content-length: {len(LARGE)}" in head.lower() for head in server.heads] == [True, False, True]


def test_a_server_that_goes_away_in_the_middle_is_no_answer(serve: Any) -> None:
    with (
        serve(Abrupt(0)) as server,
        Client(server.address) as client,
        pytest.raises(Unreachable, match=r"no answer from .*/predictions/resnet50"),
    ):
        client.predict("resnet50", LARGE)


def test_a_certificate_of_nobody_known_is_no_answer(certificate: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with running(Abrupt(200), None, tls) as server, Client(server.address) as client:
        with pytest.raises(Unreachable):
            client.predict("resnet50", b"x")
        assert server.heads == []


def test_a_socket_that_is_not_there_is_told(tmp_path: Path) -> None:
    with Client(f"unix:{tmp_path}/none.sock") as client, pytest.raises(Unreachable, match=r"unix:/.*none\.sock"):
        client.predict("resnet50", b"x")


@pytest.mark.parametrize(
    "address", ["unix:relative.sock", "ftp://a", "http://", "here", "http://a:b", "http://a?b"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError):
        connection.open_pool(address)


def test_a_path_of_the_address_is_before_every_other() -> None:
    assert connection.open_pool("http://a:1/models/")[1] == "/models"
    assert connection.open_pool("https://a")[1] == ""


@pytest.mark.parametrize("transport", ["tcp", "unix"], indirect=True)
def test_what_a_connection_takes_in_bits_arrives_whole(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = socket.socket.send
    monkeypatch.setattr(socket.socket, "send", lambda self, data: whole(self, data[:10_000]))
    with serve(Abrupt(200)) as server, Client(server.address) as client:
        assert client.predict("resnet50", bytes(1_000_000)) == server.answer
