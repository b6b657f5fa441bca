"""A bit that changed in an archive is seen before the archive is served, wherever it is."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.support.packed import MEMBERS, WEIGHTS, found, pack

from visionserve.archiver import mar
from visionserve.runtime import archive, integrity
from visionserve.runtime.errors import IntegrityError, VisionserveError, WeightsError
from visionserve.server import store

if TYPE_CHECKING:
    from pathlib import Path

    from visionserve.archiver.builder import Built


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole archive without a network in it."""
    return pack(tmp_path_factory.mktemp("packed"), "net")


def unpack(path: Path, folder: Path) -> Path:
    with zipfile.ZipFile(path) as file:
        file.extractall(folder)
    return folder


def test_what_was_built_passes(packed: Path, tmp_path: Path) -> None:
    store.require_undamaged(packed)
    folder = unpack(packed, tmp_path)
    digests = archive.read_digests(folder)
    assert set(digests) == {*MEMBERS, "net.pth"}
    integrity.require_members(folder, digests)


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_a_flipped_bit_anywhere_is_refused_in_one_line(packed: Path, data: st.DataObject) -> None:
    content = bytearray(packed.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    damaged = packed.with_name("damaged.mar")
    damaged.write_bytes(content)
    with pytest.raises(VisionserveError) as refused:
        store.require_undamaged(damaged)
    assert "\n" not in str(refused.value)
    assert str(damaged) in str(refused.value)


@pytest.mark.parametrize("member", [*MEMBERS, "net.pth", archive.MANIFEST_FILE])
def test_the_damaged_member_is_named(member: str, packed: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(packed) as file:
        info = file.getinfo(member)
        start = info.header_offset + 30 + len(member.encode())
    content = bytearray(packed.read_bytes())
    content[start + info.file_size // 2] ^= 1
    damaged = tmp_path / "damaged.mar"
    damaged.write_bytes(content)
    with pytest.raises(IntegrityError, match=rf"damaged\.mar: {member} is not what was built; copy the archive"):
        store.require_undamaged(damaged)


@pytest.mark.parametrize("size", [1, 1000, -1, -64, -65, -70, -200])
def test_a_part_of_an_archive_is_refused(size: int, packed: Path, tmp_path: Path) -> None:
    part = tmp_path / "part.mar"
    part.write_bytes(packed.read_bytes()[:size])
    with pytest.raises(VisionserveError, match=r"part\.mar"):
        store.require_undamaged(part)


def test_an_archive_packed_again_elsewhere_is_told_from_a_damaged_one(packed: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.mar"
    with zipfile.ZipFile(packed) as source, zipfile.ZipFile(again, "w") as copy:
        for name in source.namelist():
            copy.writestr(name, source.read(name))
    with pytest.raises(IntegrityError, match="holds no digest of itself: an older visionserve or another program"):
        store.require_undamaged(again)


def test_a_changed_member_packed_again_is_named(packed: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.mar"
    with zipfile.ZipFile(packed) as source, zipfile.ZipFile(again, "w") as copy:
        for name in source.namelist():
            copy.writestr(name, b'["dog", "cat"]' if name == archive.LABELS_FILE else source.read(name))
    with pytest.raises(IntegrityError, match=r"again\.mar: labels\.json is not what was built"):
        store.require_undamaged(again)


@pytest.mark.parametrize("member", [*MEMBERS, "net.pth"])
def test_a_changed_or_missing_member_of_an_unpacked_archive_is_named(
    member: str, packed: Path, tmp_path: Path
) -> None:
    folder = unpack(packed, tmp_path)
    digests = archive.read_digests(folder)
    path = folder / member
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(IntegrityError, match=f"the archive's {member} is not what was built"):
        integrity.require_members(folder, digests)
    path.unlink()
    with pytest.raises(IntegrityError, match=f"the archive's {member} cannot be read: No such file"):
        integrity.require_members(folder, digests)


@example(document=[])
@example(document={"sha256": []})
@example(document={"sha256": {}})
@given(document=st.one_of(st.none(), st.booleans(), st.integers(), st.lists(st.text()), st.text()))
def test_a_manifest_that_is_none_is_one_line(document: object, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("manifest")
    (folder / "MAR-INF").mkdir()
    (folder / archive.MANIFEST_FILE).write_text(json.dumps(document))
    with pytest.raises(VisionserveError, match=r"MANIFEST\.json is missing or damaged"):
        archive.read_digests(folder)


def test_weights_that_change_while_they_are_packed_are_an_error_and_leave_nothing(tmp_path: Path) -> None:
    weights = found(tmp_path)
    weights.path.write_bytes(WEIGHTS + b"more")
    changed = pytest.raises(WeightsError, match=r"net\.pth: has changed while it was packed")
    with changed, mar.packed(tmp_path / "net.mar", "net", weights, MEMBERS):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.pth"]


def test_a_worker_does_not_open_what_was_changed(demo_archives: dict[str, Built], tmp_path: Path) -> None:
    from visionserve.runtime.worker import Worker

    folder = unpack(demo_archives["demo-resnet18"].archive.path, tmp_path)
    labels = json.loads((folder / archive.LABELS_FILE).read_text())
    labels[0], labels[1] = labels[1], labels[0]
    (folder / archive.LABELS_FILE).write_text(json.dumps(labels))
    with pytest.raises(IntegrityError, match=r"the archive's labels\.json is not what was built"):
        Worker.open(folder)


def test_an_archive_has_its_name_once_it_is_proven(tmp_path: Path) -> None:
    path = tmp_path / "net.mar"
    with mar.packed(path, "net", found(tmp_path), MEMBERS) as unproven:
        assert not path.exists()
        store.require_undamaged(unproven)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["net.mar", "net.pth"]
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError), mar.packed(path, "net", found(tmp_path), MEMBERS):
        raise ZeroDivisionError
    assert sorted(file.name for file in tmp_path.iterdir()) == ["net.mar", "net.pth"]
    assert path.read_bytes() == before
