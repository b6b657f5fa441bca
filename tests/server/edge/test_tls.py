"""HTTPS."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
import warnings
from typing import TYPE_CHECKING

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from visionserve.calls import Refused
from visionserve.client import Client
from visionserve.server.edge.access import client_keys
from visionserve.server.errors import ServerError
from visionserve.server.settings.serving import EdgeSettings, KeySettings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.edge.conftest import Front, Started


def certify(folder: Path, serial: int) -> tuple[Path, Path]:
    """A self-signed certificate for loopback and its key, in two files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "edge")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


def serial(front: Front) -> int:
    pem = ssl.get_server_certificate((front.host, front.port))
    return x509.load_pem_x509_certificate(pem.encode()).serial_number


def spoken(front: Front, version: ssl.TLSVersion) -> str | None:
    """The version of TLS that a client gets which speaks this one only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    with (
        socket.create_connection((front.host, front.port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        return connection.version()


@pytest.mark.parametrize("one_file", [True, False])
def test_a_certificate_s_key_is_in_its_file_or_in_another(start: Started, tmp_path: Path, one_file: bool) -> None:
    certificate, key = certify(tmp_path, 1)
    if one_file:
        certificate.write_bytes(certificate.read_bytes() + key.read_bytes())
    edge = EdgeSettings(certificate=str(certificate), certificate_key=None if one_file else str(key))
    front = start(edge=edge)
    assert front.post(verify=str(certificate)).status_code == 200
    assert front.raw(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").find(b"200") < 0


def test_old_versions_are_refused(start: Started, tmp_path: Path) -> None:
    certificate, key = certify(tmp_path, 1)
    front = start(edge=EdgeSettings(certificate=str(certificate), certificate_key=str(key)))
    assert spoken(front, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    assert spoken(front, ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    for old in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            spoken(front, old)


def test_a_new_certificate_is_taken_without_a_failed_request(start: Started, tmp_path: Path) -> None:
    certificate, key = certify(tmp_path, 1)
    front = start(edge=EdgeSettings(certificate=str(certificate), certificate_key=str(key)))
    assert serial(front) == 1
    stop, got = threading.Event(), []

    def ask() -> None:
        with requests.Session() as session:
            session.trust_env, session.verify = False, False
            while not stop.is_set():
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    got.append(session.post(front.url + "/predictions/m", data=b"x").status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    certify(tmp_path, 2)
    front.edge.reload()
    assert serial(front) == 2
    stop.set()
    asking.join()
    assert set(got) == {200}


@pytest.mark.parametrize("size", [30_000, 300_000])
def test_our_client_hears_a_refusal_that_comes_before_its_picture_is_sent(
    size: int, start: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = certify(tmp_path, 1)
    client_keys.new(tmp_path / "keys", "one")
    edge = EdgeSettings(certificate=str(certificate), certificate_key=str(key))
    front = start(edge=edge, keys=KeySettings(file=str(tmp_path / "keys")))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    for _ in range(50):  # HAProxy closes at once, and the picture may or may not be under way by then
        with Client(front.url) as client, pytest.raises(Refused, match="401 Unauthorized"):
            client.predict("m", b"x" * size)


def test_a_wrong_certificate_changes_nothing(start: Started, tmp_path: Path) -> None:
    certificate, key = certify(tmp_path, 1)
    front = start(edge=EdgeSettings(certificate=str(certificate), certificate_key=str(key)))
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(certificate.read_bytes())
    certificate.write_text("no certificate")
    with pytest.raises(ServerError, match=r"HAProxy refuses.*certificate\.pem") as refused:
        front.edge.reload()
    assert "\n" not in str(refused.value)
    assert front.edge.alive
    assert serial(front) == 1
    certificate.unlink()
    with pytest.raises(ServerError, match="cannot be read"):
        front.edge.reload()
    certificate.write_bytes(trusted.read_bytes())
    front.edge.reload()
    assert front.post(verify=str(trusted)).status_code == 200


def test_a_key_of_another_certificate_is_refused(start: Started, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    certificate, _ = certify(tmp_path, 1)
    _, key = certify(tmp_path / "other", 2)
    with pytest.raises(ServerError, match="HAProxy refuses"):
        start(edge=EdgeSettings(certificate=str(certificate), certificate_key=str(key)))
