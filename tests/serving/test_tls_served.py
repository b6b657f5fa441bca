"""A server for others: TLS, keys, every address of the machine; and all that may ask it does so."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import requests
import tritonclient.http as triton
from tests.chaos.harness.served import PICTURE, Served, project
from tests.server.edge.conftest import free_address

from visionserve.server.edge.access import client_keys

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

SETTINGS = """\
edge: {{address: '0.0.0.0:{port}', certificate: certificate.pem, certificateKey: key.pem}}
keys: {{file: keys.txt}}
"""


def certify(root: Path) -> str:
    """A new certificate for this machine, signed by itself, as an operator makes one; its text."""
    name = ("-subj", "/CN=edge", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1")
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", *name)
    files = ("-keyout", "key.pem", "-out", "certificate.pem")
    subprocess.run(["openssl", "req", "-x509", *new, *files], cwd=root, capture_output=True, check=True)
    return (root / "certificate.pem").read_text()


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The authorities that every command of the test trusts."""
    file = tmp_path / "trusted.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    return file


@pytest.fixture
def served(trusted: Path) -> Iterator[tuple[Served, str, str]]:
    """A server, the URL that its certificate names, and a key."""
    with tempfile.TemporaryDirectory(prefix="tls-", dir="/tmp") as folder:
        root, port = Path(folder), free_address().split(":")[1]
        project(root, workers=1, server=SETTINGS.format(port=port))
        trusted.write_text(certify(root))
        key = client_keys.new(root / "keys.txt", "one")
        (root / "key").write_text(f"{key}\n")
        (root / "red.png").write_bytes(PICTURE)
        with Served(root) as server:
            yield server, f"https://127.0.0.1:{port}", key


def asked(server: Served, *words: str) -> dict[str, Any]:
    """What `visionserve predict` got."""
    done = server.run("predict", "red.png", "--model", "quick", "--json", *words)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)["predictions"]
    return answer


def labels(url: str, key: str, trusted: Path) -> list[str]:
    """What tritonclient got."""
    address, headers = url.removeprefix("https://"), {"X-API-Key": key}
    with triton.InferenceServerClient(address, ssl=True, ssl_options={"ca_certs": str(trusted)}) as client:
        assert client.is_server_ready()
        assert client.get_model_metadata("quick", headers=headers)["name"] == "quick"
        tensor = triton.InferInput("image", [1], "BYTES")
        tensor.set_data_from_numpy(np.array([PICTURE], dtype=object))
        with pytest.raises(triton.InferenceServerException, match="send a valid key"):
            client.infer("quick", [tensor])
        got = client.infer("quick", [tensor], headers=headers).as_numpy("labels")
    return [label.decode() for label in got[0]]


def test_whoever_trusts_it_and_has_a_key_is_served(served: tuple[Served, str, str], trusted: Path) -> None:
    server, url, key = served
    assert server.url == url.replace("127.0.0.1", "0.0.0.0")
    assert server.run("ready").stdout == "ready\n"
    assert f"at {server.url}\n" in server.run("status").stdout
    # On this machine it needs neither, for no certificate names where it listens.
    answer = asked(server)
    assert asked(server, "--url", url, "--key-file", "key") == answer
    assert labels(url, key, trusted) == list(answer)
    assert requests.get(f"{url}/readyz", verify=str(trusted), timeout=20).status_code == 200
    refused = server.run("predict", "red.png", "--url", f"{url}/predictions/quick")
    assert refused.returncode == 1
    assert "401" in refused.stderr
    # A new certificate is taken by the same server, and is the only one then.
    java, before = server.of("java")[0].pid, trusted.read_text()
    after = certify(server.root)
    done = server.run("reload", "--keys")
    assert done.returncode == 0, done.stderr
    distrusted = server.run("predict", "red.png", "--url", f"{url}/predictions/quick", "--key-file", "key")
    assert (before != after, distrusted.returncode) == (True, 1)
    trusted.write_text(after)
    assert asked(server, "--url", url, "--key-file", "key") == answer
    assert labels(url, key, trusted) == list(answer)
    # One that is none is told, and changes nothing; nor is it in the way of new archives.
    (server.root / "certificate.pem").write_text("half a certificate")
    done = server.run("reload", "--keys")
    assert done.returncode == 1
    assert "certificate.pem" in done.stderr
    assert server.of("java")[0].pid == java
    done = server.run("reload", timeout=200)
    assert (done.returncode, server.of("java")[0].pid != java) == (0, True), done.stderr
    assert asked(server, "--url", url, "--key-file", "key") == answer
    assert server.run("ready").returncode == 0
    said = " ".join(server.run("status").stdout.split())
    assert f"ready: {server.root}/certificate.pem: HAProxy refuses it: " in said
    assert "the certificate of before is used" in said
