"""The commit that an archive's provenance names."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from visionserve.archiver import revision

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_it_is_the_heads_and_says_whether_files_changed_since(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@localhost")
        done = subprocess.run(
            ["git", "-C", str(tmp_path), *identity, *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    assert revision.of(tmp_path) is None
    git("init", "--quiet")
    assert revision.of(tmp_path) is None
    (tmp_path / "net.py").write_text("")
    git("add", "net.py")
    git("commit", "--quiet", "--message", "a")
    git("tag", "v1")
    commit = git("rev-parse", "HEAD")
    assert revision.of(tmp_path) == commit
    (tmp_path / "unknown.py").write_text("")
    assert revision.of(tmp_path) == commit
    (tmp_path / "net.py").write_text("changed")
    assert revision.of(tmp_path) == f"{commit}-dirty"


def test_without_git_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert revision.of(tmp_path) is None
