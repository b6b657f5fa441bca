"""A project's own files come before those that are installed with visionserve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.conftest import REPOSITORY

from visionserve.project import Project

if TYPE_CHECKING:
    from pathlib import Path


def test_what_a_folder_lacks_is_the_installed_one(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert project.handler == REPOSITORY / "handlers" / "image_classifier.py"
    assert project.config == REPOSITORY / "config.properties"
    assert project.locustfile == REPOSITORY / "tests" / "load" / "locustfile.py"
    assert project.demo == REPOSITORY / "models" / "demo"

    (tmp_path / "config.properties").touch()
    assert project.config == tmp_path / "config.properties"


def test_what_is_nowhere_is_the_folders(tmp_path: Path) -> None:
    """So that a message names where it would be put."""
    assert Project(tmp_path).find("labels.txt") == tmp_path / "labels.txt"
