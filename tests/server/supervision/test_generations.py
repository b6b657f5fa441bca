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
    generations = Generations({"a": archive, "b": other}, run, admission.copied)
    first = generations.keep()
    replace(archive, b"new")
    second = {**first, **generations.keep(["a"])}
    assert {name: path.read_bytes() for name, path in first.items()} == {"a": b"old", "b": b"other"}
    assert {name: path.read_bytes() for name, path in second.items()} == {"a": b"new", "b": b"other"}
    generations.forget_all_but(second.values())
    assert not first["a"].exists()
    assert {name: path.read_bytes() for name, path in second.items()} == {"a": b"new", "b": b"other"}
    generations.forget_all_but([])
    assert list(run.iterdir()) == []
    assert archive.read_bytes() == b"new"


def test_a_model_that_is_not_served_and_an_archive_that_is_gone_are_named(tmp_path: Path) -> None:
    generations = Generations({"b": tmp_path / "b.mar", "a": tmp_path / "a.mar"}, tmp_path, admission.copied)
    with pytest.raises(ServerError, match="c is not served; served are a, b"):
        generations.keep(["c"])
    with pytest.raises(ServerError, match=r"a\.mar is not there any more"):
        generations.keep(["a"])
    assert list(tmp_path.iterdir()) == []


def test_what_is_refused_leaves_nothing(tmp_path: Path) -> None:
    def refuse(_archive: Path, place: Path) -> Path:
        place.write_bytes(b"half")
        raise ServerError("refused")

    (tmp_path / "a.mar").touch()
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(ServerError, match="refused"):
        Generations({"a": tmp_path / "a.mar"}, run, refuse).keep()
    assert list(run.iterdir()) == []
