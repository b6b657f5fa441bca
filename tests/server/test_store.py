"""Which archives are served when none is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from visionserve.project import Project
from visionserve.server import store
from visionserve.server.errors import ServerError

if TYPE_CHECKING:
    from pathlib import Path


def put(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.touch()


def test_described_models_are_deployed_else_all_archives(tmp_path: Path) -> None:
    project = Project(tmp_path)
    with pytest.raises(ServerError, match="no archives in"):
        store.deployed(project)

    for name in ("b", "a", ".a.half-written"):
        put(project.archive(name))
    assert store.deployed(project) == ["a", "b"]

    put(project.model("b"))
    put(project.model("unbuilt"))
    assert store.deployed(project) == ["b"]
