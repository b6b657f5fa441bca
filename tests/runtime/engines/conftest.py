from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest
from tests.support import quick

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def archive(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The quick model's archive, unpacked, with all that `engine: auto` brings."""
    folder = tmp_path_factory.mktemp("auto")
    with zipfile.ZipFile(quick.build(project, "quick-auto", engine="auto", precision="auto").archive.path) as mar:
        mar.extractall(folder)
    return folder
