"""`visionserve key`, as a user calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visionserve.server.edge.access import client_keys

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run


def test_a_key_is_printed_once_listed_and_revoked(visionserve: Run, tmp_path: Path) -> None:
    (tmp_path / "server.yaml").write_text("keys: {file: ours/keys}\n")
    made = visionserve("key", "add", "one", cwd=tmp_path)
    # The key alone is on standard output, so that a script can take it.
    assert (made.code, made.err) == (0, "note: a running server knows it after 'visionserve reload --keys'\n")
    key = made.out.strip()
    assert client_keys.read(tmp_path / "ours" / "keys") == [client_keys.Key("one", client_keys.digest(key))]
    listed = visionserve("key", "list", cwd=tmp_path)
    assert listed.out == "one\n"
    assert "revoked one" in visionserve("key", "remove", "one", cwd=tmp_path).out
    assert visionserve("key", "list", cwd=tmp_path).out == ""


def test_what_is_missing_is_said(visionserve: Run, tmp_path: Path) -> None:
    made = visionserve("key", "add", "one", cwd=tmp_path)
    assert made.code == 0
    assert "server.yaml" in made.err
    assert (tmp_path / "keys.txt").exists()
    again = visionserve("key", "add", "one", cwd=tmp_path)
    assert again.code == 1
    assert "already" in again.err
