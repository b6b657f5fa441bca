"""Keys or a certificate that become bad while a server runs: those of before go on, and what is wrong is told."""

from __future__ import annotations

import logging
import re
import stat
from typing import TYPE_CHECKING

import pytest
import requests
from tests.server.edge.access.test_client_keys import bearer
from tests.server.edge.test_tls import certify, serial

from visionserve.server.edge.access import client_keys, credentials
from visionserve.server.edge.haproxy_process import HAProxyProcess
from visionserve.server.errors import ServerError
from visionserve.server.settings.serving import EdgeSettings, KeySettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.server.edge.conftest import Front, Started


@pytest.fixture
def keyed(start: Started, tmp_path: Path) -> tuple[Front, str]:
    """A front behind TLS that asks for keys, and one of them; both files lie in the test's folder."""
    certificate, key = certify(tmp_path, 1)
    known = client_keys.new(tmp_path / "keys", "one")
    edge = EdgeSettings(certificate=str(certificate), certificate_key=str(key))
    front = start(edge=edge, keys=KeySettings(file=str(tmp_path / "keys")))
    front.session.verify = False
    return front, known


def in_clear(folder: Path) -> str:
    (folder / "keys").write_text("one secret-in-clear\n")
    return "keys:1: the digest of 'one' must be"


def without_keys(folder: Path) -> str:
    (folder / "keys").unlink()
    return "keys: cannot be read"


def no_certificate(folder: Path) -> str:
    (folder / "certificate.pem").write_text("no certificate")
    return "certificate.pem: HAProxy refuses it"


def without_certificate(folder: Path) -> str:
    (folder / "certificate.pem").unlink()
    return "certificate.pem: cannot be read"


def another_s_key(folder: Path) -> str:
    (folder / "other").mkdir()
    (folder / "key.pem").write_bytes(certify(folder / "other", 9)[1].read_bytes())
    return "certificate.pem: HAProxy refuses it"


def all_of_it(folder: Path) -> str:
    return f"{in_clear(folder)}.*; .*{no_certificate(folder)}"


BROKEN = [in_clear, without_keys, no_certificate, without_certificate, another_s_key, all_of_it]
SOME_OF_IT = [pytest.param(each, marks=pytest.mark.slow) for each in BROKEN[:-2]]


def again(front: Front) -> HAProxyProcess:
    """The next HAProxy in the folder of one that was killed."""
    edge = front.edge
    edge.kill()
    folder = edge.own.parent
    started = HAProxyProcess(
        edge._haproxy, edge._settings, edge._slots, folder, folder.with_name("logs"), edge._metadata
    )
    for slot in "ab":
        started.control.up(slot)
    return started


@pytest.fixture
def caplog(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.LogCaptureFixture]:
    """Hears the logger itself, whatever level another test's library has given to those above it."""
    caplog.set_level(logging.WARNING, credentials.logger.name)
    monkeypatch.setattr(credentials.logger, "propagate", False)
    credentials.logger.addHandler(caplog.handler)
    yield caplog
    credentials.logger.removeHandler(caplog.handler)


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("broken", [*SOME_OF_IT, *BROKEN[-2:]])
def test_what_was_good_before_goes_on(
    broken: Callable[[Path], str], keyed: tuple[Front, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    front, key = keyed
    (tmp_path / "new.json").write_text("{}")
    assert front.edge.trouble == ""
    said = broken(tmp_path)
    # New archives are shown all the same.
    front.edge.reload({"trees": tmp_path / "new.json"}, strict=False)
    assert front.get("/v2/models/trees", headers=bearer(key)).json() == {}
    assert_told(said, front.edge.trouble)
    assert_told(said, caplog.text.replace("\n", " "))
    # Who orders keys and certificate to be read is told, and so is who asks later.
    with pytest.raises(ServerError):
        front.edge.reload()
    assert_told(said.partition(".*; ")[0], front.edge.trouble)
    started = again(front)
    try:
        assert_told(said, started.trouble)
        assert "secret-in-clear" not in caplog.text + started.trouble
        assert serial(front) == 1
        with requests.Session() as session:
            session.trust_env = session.verify = False
            answers = [session.post(front.url + "/predictions/m", headers=bearer(each)) for each in (key, "x")]
        assert [answer.status_code for answer in answers] == [200, 401]
        # Once they are good, they are taken.
        certify(tmp_path, 2)
        (tmp_path / "keys").unlink(missing_ok=True)
        other = client_keys.new(tmp_path / "keys", "two")
        started.reload()
        assert (started.trouble, serial(front)) == ("", 2)
        assert front.post(headers=bearer(other)).status_code == 200
        assert front.post(headers=bearer(key)).status_code == 401
    finally:
        started.kill()


def assert_told(said: str, text: str) -> None:
    assert re.search(f"{said}.*of before (is|are) used", text), text


def test_copies_are_their_owner_s_alone(keyed: tuple[Front, str]) -> None:
    front, _ = keyed
    front.edge.reload(strict=False)
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in front.edge.own.parent.iterdir()}
    assert set(files.values()) == {0o600}
    assert {"certificate.pem", "keys.map"} <= set(files)


@pytest.mark.parametrize("broken", BROKEN)
def test_a_first_start_is_refused(broken: Callable[[Path], str], start: Started, tmp_path: Path) -> None:
    certificate, key = certify(tmp_path, 1)
    client_keys.new(tmp_path / "keys", "one")
    broken(tmp_path)
    with pytest.raises(ServerError, match=r"cannot be read|must be 64|HAProxy refuses"):
        start(
            edge=EdgeSettings(certificate=str(certificate), certificate_key=str(key)),
            keys=KeySettings(file=str(tmp_path / "keys")),
        )
