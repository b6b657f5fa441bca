"""Secrets are their owner's, and a file is never half there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from visionserve.server import private_file

if TYPE_CHECKING:
    from pathlib import Path


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("old")
    path.chmod(0o644)
    private_file.write(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600


def test_where_it_cannot_be_written_the_old_one_is_still_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OSError, match="No space left"):
        private_file.write(path, b"new")
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("keys", "old")]


def test_what_differs_is_put_back_and_nothing_else_is_written(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_text(name)
    saved = private_file.contents(tmp_path, ["a", "b", "c", "missing"])
    assert saved == {tmp_path / name: name.encode() for name in "abc"}
    (tmp_path / "a").write_text("other")
    (tmp_path / "b").unlink()
    # What cannot be written holds up no other.
    private_file.restore({tmp_path / "gone" / "a": b"a", **saved})
    assert [(tmp_path / name).read_text() for name in "abc"] == ["a", "b", "c"]
    before = (tmp_path / "a").stat().st_ino
    private_file.restore(saved)
    assert (tmp_path / "a").stat().st_ino == before
