"""A disk without room is told; one that is gone is not our complaint."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from visionserve.server.host import disk

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_folder_without_room_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    full = tmp_path / "full"
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=0) if path == full else usage)
    assert disk.complaint((tmp_path, full)) == f"{full} has no room left: nothing can be logged or started there"
    assert disk.complaint((tmp_path,)) == ""


def test_a_folder_that_is_not_there_is_let_pass(tmp_path: Path) -> None:
    assert disk.complaint((tmp_path / "gone",)) == ""
