"""Speeds survive a process, and nothing that lies in their file hurts."""

from __future__ import annotations

import dataclasses
import json
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.unpacked import source

from visionserve.runtime.engines.loading import Way
from visionserve.runtime.engines.remembered import Remembered
from visionserve.runtime.engines.speed import Speed
from visionserve.runtime.machine import processor

WAYS = [Way("openvino", "fp32"), Way("ncnn", "fp32"), Way("eager", "fp32")]
SPEEDS = {WAYS[0]: Speed(5.25, 5.5), WAYS[1]: Speed(9.1, 10.125)}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VISIONSERVE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def remembered(archive: Path, **changed: object) -> Remembered:
    return Remembered(dataclasses.replace(source(archive), **changed), WAYS)  # type: ignore[arg-type]


def test_what_is_kept_is_read_in_the_same_order(archive: Path, cache: Path) -> None:
    assert remembered(archive).read() == {}
    remembered(archive).keep(SPEEDS)
    assert list(remembered(archive).read().items()) == list(SPEEDS.items())
    (file,) = cache.rglob("*.json")
    assert "processor" in json.loads(file.read_text())["of"]


def test_other_threads_networks_processors_and_ways_have_their_own(
    archive: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remembered(archive).keep(SPEEDS)
    assert remembered(archive, threads=7).read() == {}
    other = dataclasses.replace(source(archive).model, sha256="0" * 64)
    assert remembered(archive, model=other).read() == {}
    assert Remembered(source(archive), WAYS[:2]).read() == {}
    monkeypatch.setattr(processor, "identity", lambda: ("x86_64", "another"))
    assert remembered(archive).read() == {}
    monkeypatch.undo()


def test_the_cache_is_where_the_desktop_says(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VISIONSERVE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    remembered(archive).keep(SPEEDS)
    assert list((tmp_path / "xdg" / "visionserve" / "engines").glob("*.json"))
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    remembered(archive).keep(SPEEDS)
    assert list((tmp_path / "home" / ".cache" / "visionserve" / "engines").glob("*.json"))


def test_who_can_write_nowhere_measures_each_time(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VISIONSERVE_CACHE", str(tmp_path / "file" / "cache"))
    nowhere = remembered(archive)
    with nowhere.alone():
        nowhere.keep(SPEEDS)
    assert nowhere.read() == {}


def test_a_full_disk_costs_the_memory_alone(archive: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = remembered(archive)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("visionserve.runtime.engines.remembered.tempfile.NamedTemporaryFile", full)
    monkeypatch.setattr(Path, "open", full)
    with found.alone():
        found.keep(SPEEDS)
    assert found.read() == {}


def test_the_second_waits_and_finds_what_the_first_has_found(archive: Path, cache: Path) -> None:
    first, second = remembered(archive), remembered(archive)
    found: list[dict[Way, Speed]] = []

    def late() -> None:
        with second.alone():
            found.append(second.read())

    with first.alone():
        thread = threading.Thread(target=late)
        thread.start()
        thread.join(0.2)
        assert found == []
        first.keep(SPEEDS)
    thread.join(10)
    assert found == [SPEEDS]


NUMBERS = st.one_of(st.floats(), st.integers(), st.none(), st.text(max_size=3), st.just(10**400))
PAIRS = st.lists(
    st.one_of(st.lists(NUMBERS, max_size=3), st.sampled_from([list(way) for way in WAYS])), max_size=3
)


@given(
    damaged=st.one_of(
        st.binary(max_size=40),
        st.builds(lambda pairs: json.dumps({"pictures a second": pairs}).encode(), st.lists(PAIRS, max_size=3)),
        st.just(b"[" * 90_000),
    )
)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_none(damaged: bytes, archive: Path, cache: Path) -> None:
    found = remembered(archive)
    found.keep(SPEEDS)
    (file,) = cache.rglob("*.json")
    file.write_bytes(damaged)
    read = found.read()
    assert len(read) in (0, 2)
    assert all(way in WAYS and speed.alone > 0 and speed.batch > 0 for way, speed in read.items())
