"""The run folder is its user's alone, and what an earlier server left in it is ended."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil
import pytest

from visionserve.project import Project
from visionserve.server.errors import ServerError
from visionserve.server.run import folder
from visionserve.server.run.folder import RunFolder

if TYPE_CHECKING:
    from pathlib import Path


def test_only_its_user_can_enter(tmp_path: Path) -> None:
    made = RunFolder.make(Project(tmp_path))
    assert made.path.resolve() == tmp_path / ".visionserve" / "run"
    assert made.path.stat().st_mode & 0o777 == 0o700
    made.remove()
    assert not made.path.exists()


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


def test_what_is_started_while_it_is_ended_is_ended_too(tmp_path: Path) -> None:
    left = RunFolder.make(Project(tmp_path)).path
    for name, program in (("java", "sh"), ("python", "sleep")):
        shutil.copy(shutil.which(program) or program, tmp_path / name)
    # As Java starts a worker that ended: again and again, until it is ended itself.
    java = subprocess.Popen(
        [tmp_path / "java", "-c", f"for i in $(seq 1000); do '{tmp_path}/python' 60 & echo; done; wait"],
        cwd=left,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    with java:
        assert java.stdout is not None
        java.stdout.readline()
        try:
            assert folder.clear(Project(tmp_path)) > 1
            assert not [each for each in psutil.process_iter(["cmdline"]) if str(tmp_path) in str(each.info)]
            assert not left.exists()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(java.pid, signal.SIGKILL)


def test_a_long_path_gets_a_short_name(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    made = RunFolder.make(Project(deep))
    assert len(str(made.slot("a") / "management.sock")) < 100
    (made.path / "there").touch()
    assert (deep / ".visionserve" / "run" / "there").exists()
    assert made.link is not None
    assert set(made.to_remove) == {deep / ".visionserve" / "run", made.link.parent}
    made.remove()
    assert not (deep / ".visionserve" / "run").exists()
    assert not made.link.parent.exists()


def test_the_short_name_of_a_killed_server_is_removed_by_the_next(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    left = RunFolder.make(Project(deep)).link
    assert left is not None
    again = RunFolder.make(Project(deep))
    assert not left.parent.exists()
    assert again.link is not None
    assert again.link.exists()
    again.remove()


def test_nothing_else_is_removed_whatever_stands_there(tmp_path: Path) -> None:
    deep, other = tmp_path / ("d" * 100), tmp_path / "visionserve-other"
    deep.mkdir()
    other.mkdir()
    (other / "run").symlink_to(tmp_path)
    made = RunFolder.make(Project(deep))
    made.remove()
    (deep / ".visionserve" / "run").mkdir(parents=True)
    (deep / ".visionserve" / "run" / "short").symlink_to(other)
    RunFolder.make(Project(deep)).remove()
    assert other.exists()


def test_a_folder_that_leads_elsewhere_is_neither_emptied_nor_searched(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "theirs").touch()
    project = Project(tmp_path / "project")
    project.run_folder.parent.mkdir(parents=True)
    project.run_folder.symlink_to(elsewhere)
    for act in (RunFolder.make, folder.clear):
        with pytest.raises(ServerError, match="is a link; its folder is emptied at each start"):
            act(project)
    assert (elsewhere / "theirs").exists()


def test_a_short_name_is_locked_against_what_cleans_up(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    made = RunFolder.make(Project(deep))
    assert made.link is not None
    other = os.open(made.link.parent, os.O_RDONLY)
    try:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(other)
        made.remove()
