"""What nobody trusted has signed does not reach TorchServe, whoever may write to the model store."""

from __future__ import annotations

import shutil
import tempfile
from typing import TYPE_CHECKING

import pytest
from tests.conftest import REPOSITORY
from tests.support import keys
from tests.support.packed import pack

from visionserve.server.instance import admission
from visionserve.server.instance.launcher import TorchServe
from visionserve.server.settings.properties import Properties
from visionserve.signatures import bundle, signing
from visionserve.signatures.errors import SignatureError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.keys import Files


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return keys.write(tmp_path_factory.mktemp("keys"), "release")


@pytest.fixture
def flowers(tmp_path: Path, release: Files) -> Path:
    """A signed archive in a folder that others may write to."""
    path = pack(tmp_path / "model_store", "flowers")
    signing.sign(path, release.signs())
    return path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "flowers.mar"


def test_what_was_verified_is_a_copy_that_later_changes_do_not_reach(
    flowers: Path, place: Path, release: Files
) -> None:
    right = flowers.read_bytes()
    assert admission.copied_if_signed_by([release.verifies()])(flowers, place) == place
    with flowers.open("r+b") as file:  # the same file, not another one of that name
        file.write(b"hostile")
    assert place.read_bytes() == right
    assert not place.is_symlink()


def test_what_was_changed_only_while_it_was_copied_is_refused(
    flowers: Path, place: Path, release: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = flowers.read_bytes()
    copy = shutil.copyfile

    def between(source: Path, target: Path) -> None:
        source.write_bytes(b"hostile")
        copy(source, target)
        source.write_bytes(right)

    monkeypatch.setattr(shutil, "copyfile", between)
    with pytest.raises(SignatureError, match="it has changed since"):
        admission.copied_if_signed_by([release.verifies()])(flowers, place)


def test_a_link_is_admitted_as_what_it_leads_to(flowers: Path, place: Path, release: Files) -> None:
    elsewhere = flowers.parent / "elsewhere"
    flowers.rename(elsewhere)
    flowers.symlink_to(elsewhere)
    assert admission.copied_if_signed_by([release.verifies()])(flowers, place) == place
    assert not place.is_symlink()


def test_a_name_that_was_not_signed_is_not_served(flowers: Path, place: Path, release: Files) -> None:
    with pytest.raises(SignatureError, match=r"was signed as 'flowers\.mar', not as 'trees\.mar'"):
        admission.copied_if_signed_by([release.verifies()])(flowers, place.with_name("trees.mar"))


def test_a_server_is_not_started_for_an_archive_that_is_refused(
    flowers: Path, tmp_path: Path, release: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees = pack(flowers.parent, "trees")
    shutil.copy(bundle.path_of(flowers), bundle.path_of(trees))
    private = tmp_path / "private"
    private.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(private))
    properties = Properties.read(REPOSITORY / "config.properties").on_free_ports()
    admit = admission.copied_if_signed_by([release.verifies()])
    with pytest.raises(SignatureError, match=r"trees\.mar is not what was signed"):
        TorchServe({"flowers": flowers, "trees": trees}, properties, tmp_path / "logs", admit)
    assert list(private.iterdir()) == []
    assert not (tmp_path / "logs").exists()


def test_what_is_served_unsigned_is_a_copy_too(tmp_path: Path, place: Path) -> None:
    archive = pack(tmp_path / "model_store", "flowers")
    right = archive.read_bytes()
    assert admission.copied(archive, place) == place
    archive.write_bytes(right[:100])  # as `cp` does with a file that is there
    assert place.read_bytes() == right
