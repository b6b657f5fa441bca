"""An archive is there as it was admitted, for as long as an instance may be started from it, and no longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from visionserve.server.errors import ServerError
from visionserve.server.instance import admission
from visionserve.server.supervision.generations import Generations

if TYPE_CHECKING:
    from pathlib import Path


def replace(archive: Path, content: bytes) -> None:
    """As a build does it: a new file in the old one's place."""
    beside = archive.with_name("beside")
    beside.write_bytes(content)
    beside.replace(archive)


def test_what_was_admitted_stays_until_nobody_needs_it(tmp_path: Path) -> None:
    run, archive, other = tmp_path / "run", tmp_path / "a.mar", tmp_path / "b.mar"
    run.mkdir()
    archive.write_bytes(b"old")
    other.write_bytes(b"other")
    generations = Generations(run, admission.kept)
    first = generations.keep({"a": archive, "b": other})
    replace(archive, b"new")
    second = {**first, **generations.keep({"a": archive})}
    assert {name: path.read_bytes() for name, path in first.items()} == {"a": b"old", "b": b"other"}
    assert {name: path.read_bytes() for name, path in second.items()} == {"a": b"new", "b": b"other"}
    generations.forget_all_but(second.values())
    assert not first["a"].exists()
    assert {name: path.read_bytes() for name, path in second.items()} == {"a": b"new", "b": b"other"}
    generations.forget_all_but([])
    assert list(run.iterdir()) == []
    assert archive.read_bytes() == b"new"


def test_what_is_refused_leaves_nothing(tmp_path: Path) -> None:
    def refuse(_archive: Path, place: Path) -> Path:
        place.write_bytes(b"half")
        raise ServerError("refused")

    with pytest.raises(ServerError):
        Generations(tmp_path, refuse).keep({"a": tmp_path / "a.mar"})
    assert list(tmp_path.iterdir()) == []
