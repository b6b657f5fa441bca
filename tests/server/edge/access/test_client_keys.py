"""Who may ask."""

from __future__ import annotations

import stat
import threading
import time
from typing import TYPE_CHECKING

import pytest
import requests
from tests.server.edge.conftest import free_address, other_addresses

from visionserve.server.edge.access import client_keys
from visionserve.server.errors import ServerError
from visionserve.server.settings.serving import EdgeSettings, KeySettings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server.edge.conftest import Front, Started

DIGEST = "0" * 64


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def test_a_key_is_made_kept_as_a_digest_and_revoked(file: Path) -> None:
    one, two = client_keys.new(file, "one"), client_keys.new(file, "two")
    assert one != two
    assert len(one) >= 40
    assert client_keys.read(file) == [
        client_keys.Key("one", client_keys.digest(one)),
        client_keys.Key("two", client_keys.digest(two)),
    ]
    assert one not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    client_keys.remove(file, "one")
    assert [key.name for key in client_keys.read(file)] == ["two"]
    with pytest.raises(ServerError, match="has no key 'one'; it has two"):
        client_keys.remove(file, "one")
    with pytest.raises(ServerError, match="has a key 'two' already"):
        client_keys.new(file, "two")


@pytest.mark.parametrize("name", ["", "a b", "a\nb", "-a", "a" * 65, "ä", "#a"])
def test_a_name_is_a_word(file: Path, name: str) -> None:
    with pytest.raises(ServerError, match="is no name"):
        client_keys.new(file, name)
    assert not file.exists()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("alone", "must be a name and a digest"),
        (f"a {DIGEST} more", "must be a name and a digest"),
        (f"-a {DIGEST}", "is no name"),
        ("a secret-key-in-clear", "digest of 'a' must be"),
        (f"a {'0' * 63}", "digest of 'a' must be"),
        (f"a {'A' * 64}", "digest of 'a' must be"),
        (f"first {DIGEST.replace('0', '1')}", "'first' is there twice"),
        (f"other {DIGEST}", "digest of another name"),
    ],
)
def test_a_bad_line_is_named(file: Path, line: str, said: str) -> None:
    file.write_text(f"# ours\nfirst {DIGEST}\n\n{line}\n")
    with pytest.raises(ServerError, match=said) as refused:
        client_keys.read(file)
    assert f"{file}:4: " in str(refused.value)
    assert "secret-key" not in str(refused.value)


def test_a_file_that_is_not_there_says_how_to_make_it(file: Path) -> None:
    with pytest.raises(ServerError, match="visionserve key add"):
        client_keys.read(file)


@pytest.fixture
def keyed(start: Started, file: Path) -> tuple[Front, str]:
    key = client_keys.new(file, "one")
    return start(keys=KeySettings(file=str(file))), key


def test_only_keys_let_in(keyed: tuple[Front, str]) -> None:
    front, key = keyed
    wrong = [{}, bearer("x"), bearer(""), bearer(key + "x"), {"X-API-Key": "x"}, {"X-API-Key": ""}]
    digest = client_keys.digest(key)
    wrong += [bearer(digest), {"X-API-Key": digest}, {"Authorization": key}, {"Authorization": f"Basic {key}"}]
    for headers in wrong:
        for path in ("/predictions/m", "/v2/models/m/infer", "/models"):
            answer = front.post(path, headers=headers)
            assert (answer.status_code, answer.json()["type"]) == (401, "Unauthorized")
            assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert not front.seen
    assert front.post(headers=bearer(key)).status_code == 200
    assert front.post(headers={"X-API-Key": key}).status_code == 200
    assert front.post("/models", headers=bearer(key)).status_code == 404


def test_an_instance_does_not_see_the_key(keyed: tuple[Front, str]) -> None:
    front, key = keyed
    front.post(headers={**bearer(key), "X-API-Key": key})
    assert key not in str(front.seen)


def test_health_needs_no_key_and_metadata_does(keyed: tuple[Front, str]) -> None:
    front, key = keyed
    for path in ("/livez", "/readyz", "/ping", "/v2/health/live", "/v2/health/ready", "/metrics"):
        assert front.get(path).status_code == 200
    assert front.get("/v2").status_code == 401
    assert front.get("/v2", headers=bearer(key)).status_code == 200


def test_metrics_are_for_others_with_a_key(start: Started, file: Path) -> None:
    others = other_addresses()
    if not others:
        pytest.skip("this machine has no address but loopback")
    key, port = client_keys.new(file, "one"), free_address().split(":")[1]
    front = start(edge=EdgeSettings(address=f"0.0.0.0:{port}"), keys=KeySettings(file=str(file)))
    url = f"http://{others[0]}:{port}/metrics"
    for headers in ({}, bearer("x")):
        refused = requests.get(url, headers=headers, timeout=5)
        assert (refused.status_code, refused.json()["type"]) == (403, "Forbidden")
        assert "with a key" in refused.json()["message"]
    for headers in (bearer(key), {"X-API-Key": key}):
        assert "haproxy_backend_http_responses_total" in requests.get(url, headers=headers, timeout=5).text
    assert front.get("/metrics").status_code == 200


def test_a_revoked_key_is_out_at_once_and_a_new_one_in(keyed: tuple[Front, str], file: Path) -> None:
    front, key = keyed
    assert front.post(headers=bearer(key)).status_code == 200
    client_keys.remove(file, "one")
    other = client_keys.new(file, "two")
    front.edge.reload()
    # Over the connection of before, which the process of before still has.
    assert front.post(headers=bearer(key)).status_code == 401
    assert front.post(headers=bearer(other)).status_code == 200


def test_a_revoked_key_is_out_on_a_connection_of_two_reloads_ago(keyed: tuple[Front, str], file: Path) -> None:
    front, key = keyed
    assert front.post(headers=bearer(key)).status_code == 200
    front.edge.reload()
    client_keys.remove(file, "one")
    client_keys.new(file, "two")
    front.edge.reload()
    assert front.post(headers=bearer(key)).status_code == 401


def test_no_keys_let_nobody_in(keyed: tuple[Front, str], file: Path) -> None:
    front, key = keyed
    client_keys.remove(file, "one")
    front.edge.reload()
    assert front.post(headers=bearer(key)).status_code == 401


def test_a_key_has_its_share_and_no_more(start: Started, file: Path) -> None:
    greedy, modest = client_keys.new(file, "greedy"), client_keys.new(file, "modest")
    front = start(keys=KeySettings(file=str(file), requests_per_second=1.2))
    answers = [front.post(headers=bearer(greedy)) for _ in range(40)]
    assert [answer.status_code for answer in answers] == [200] * 12 + [429] * 28
    assert answers[-1].json()["type"] == "TooManyRequests"
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert front.post(headers=bearer(modest)).status_code == 200
    assert front.post(headers={"X-API-Key": greedy}).status_code == 429


def test_a_key_at_its_limit_stays_there_at_a_reload(start: Started, file: Path) -> None:
    greedy, modest = client_keys.new(file, "greedy"), client_keys.new(file, "modest")
    front = start(keys=KeySettings(file=str(file), requests_per_second=1.2))
    while front.post(headers=bearer(greedy)).status_code == 200:
        pass
    for _ in range(2):
        front.edge.reload()
        assert front.post(headers=bearer(modest)).status_code == 200
        assert [front.post(headers=bearer(greedy)).status_code for _ in range(12)] == [429] * 12


def test_twenty_changes_of_keys_fail_no_request(keyed: tuple[Front, str], file: Path) -> None:
    front, key = keyed
    got: list[int] = []
    stop = threading.Event()

    def ask() -> None:
        with requests.Session() as session:
            session.trust_env = False
            while not stop.is_set():
                got.append(
                    session.post(front.url + "/predictions/m", data=b"x" * 50_000, headers=bearer(key)).status_code
                )

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for thread in asking:
        thread.start()
    for number in range(20):
        other = client_keys.new(file, f"other{number}")
        front.edge.reload()
        assert front.post(headers=bearer(other)).status_code == 200
        before = len(got)
        end = time.monotonic() + 5
        while len(got) < before + 4 and time.monotonic() < end:
            time.sleep(0.001)
    stop.set()
    for thread in asking:
        thread.join()
    print(f"20 changes of keys: sent {len(got)}, answered {got.count(200)}, lost {len(got) - got.count(200)}")  # noqa: T201
    assert set(got) == {200}
