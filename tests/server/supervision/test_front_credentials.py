"""A supervisor whose operator is half way through a change of keys or certificate goes on with those of before."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
import requests
from tests.server.edge.access.test_client_keys import bearer
from tests.server.edge.conftest import LIMITS, free_address
from tests.server.edge.test_tls import certify
from tests.support import backend
from tests.support.packed import pack

from visionserve.server.edge.access import client_keys
from visionserve.server.edge.configuration import Slot
from visionserve.server.errors import ServerError
from visionserve.server.run.folder import RunFolder
from visionserve.server.run.warden import Warden
from visionserve.server.settings.serving import EdgeSettings, KeySettings, Serving
from visionserve.server.supervision.front import Front

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    """A running edge whose keys and certificate lie in the test's folder."""
    certificate, key = certify(tmp_path, 1)
    settings = Serving(
        edge=EdgeSettings(certificate=str(certificate), certificate_key=str(key)),
        keys=KeySettings(file=str(tmp_path / "keys")),
        limits=LIMITS,
    ).completed(tmp_path, address=free_address(), body=1_000_000)
    client_keys.new(tmp_path / "keys", "first")
    with tempfile.TemporaryDirectory(prefix="front-", dir="/tmp") as name:
        folder, warden = RunFolder(Path(name)), Warden()
        slot = Slot("a", folder.slot("a") / "inference.sock")
        with backend.listening(slot.socket, "a"):
            edge = Front(settings, [slot], folder, tmp_path / "logs", {"m": pack(tmp_path / "store", "m")}, warden)
            edge.control.up("a")
            yield edge
            edge.end()
        warden.close()


def test_an_update_and_a_healed_edge_need_no_good_files(front: Front, tmp_path: Path) -> None:
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes((tmp_path / "certificate.pem").read_bytes())
    key = client_keys.new(tmp_path / "keys", "second")
    front.reload_keys()

    def ask(path: str, key: str) -> int:
        return requests.get(front.url + path, headers=bearer(key), verify=str(trusted), timeout=20).status_code

    assert [ask("/v2/models/m", key), ask("/v2/models/n", key)] == [200, 404]
    (tmp_path / "keys").write_text("second: half a line\n")
    (tmp_path / "certificate.pem").write_text("half a certificate")
    front.show({"n": pack(tmp_path / "store", "n")})
    front.revive([])
    front.describe()
    assert [ask("/v2/models/m", key), ask("/v2/models/n", key)] == [404, 200]
    with pytest.raises(ServerError, match=r"keys:1: "):
        front.reload_keys()
    (haproxy,) = [each for each in psutil.Process().children() if each.name() == "haproxy"]
    os.killpg(haproxy.pid, signal.SIGKILL)
    psutil.wait_procs([haproxy], timeout=10)
    front.revive(["a"])
    assert front.restarts == 1
    assert [ask("/v2/models/n", key), ask("/v2/models/n", "x")] == [200, 401]
    assert f"{tmp_path}/keys:1: " in front.trouble
    assert "the keys of before are used" in front.trouble
    assert f"{tmp_path}/certificate.pem: HAProxy refuses it" in front.trouble
    certify(tmp_path, 2)
    (tmp_path / "keys").unlink()
    other = client_keys.new(tmp_path / "keys", "third")
    front.reload_keys()
    assert front.trouble == ""
    trusted.write_bytes((tmp_path / "certificate.pem").read_bytes())
    assert [ask("/v2/models/n", key), ask("/v2/models/n", other)] == [401, 200]
