"""What is changed in a settings' file while a server runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visionserve.server.settings.settings_files import SettingsFiles

if TYPE_CHECKING:
    from pathlib import Path


def test_those_that_hold_something_else_are_named(tmp_path: Path) -> None:
    first, second = tmp_path / "config.properties", tmp_path / "server.yaml"
    first.write_text("a=1\n")
    files = SettingsFiles((first, second))
    assert files.changed() == []
    second.write_text("instances: 2\n")
    assert files.changed() == ["server.yaml"]
    second.unlink()
    first.write_text("a=2\n")
    assert files.changed() == ["config.properties"]
