"""The run folder is its user's alone, and what an earlier server left in it is ended."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import psutil

from visionserve.project import Project
from visionserve.server.run.folder import RunFolder

if TYPE_CHECKING:
    from pathlib import Path


def test_only_its_user_can_enter(tmp_path: Path) -> None:
    folder = RunFolder.make(Project(tmp_path))
    assert folder.path.resolve() == tmp_path / ".visionserve" / "run"
    assert folder.path.stat().st_mode & 0o777 == 0o700
    folder.remove()
    assert not folder.path.exists()


def test_what_was_left_there_is_ended_but_no_shell_of_a_person(tmp_path: Path) -> None:
    left = RunFolder.make(Project(tmp_path)).slot("a")
    left.mkdir()
    java = tmp_path / "java"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", java)
    stray = subprocess.Popen([java, "60"], cwd=left, start_new_session=True)
    person, other = subprocess.Popen(["sleep", "60"], cwd=left), subprocess.Popen([java, "60"], cwd=tmp_path)
    try:
        RunFolder.make(Project(tmp_path))
        assert not psutil.pid_exists(stray.pid)
        assert not left.exists()
        assert person.poll() is None and other.poll() is None
    finally:
        for process in (stray, person, other):
            process.kill()
            process.wait(10)


def test_a_long_path_gets_a_short_name(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    folder = RunFolder.make(Project(deep))
    assert len(str(folder.slot("a") / "management.sock")) < 100
    (folder.path / "there").touch()
    assert (deep / ".visionserve" / "run" / "there").exists()
    folder.remove()
    assert not (deep / ".visionserve" / "run").exists()
    assert folder.link is not None and not folder.link.parent.exists()
