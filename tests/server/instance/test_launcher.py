"""What a TorchServe leaves: the logs of earlier starts, and nothing else."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import pytest
from tests.conftest import REPOSITORY
from tests.support.packed import pack

from visionserve.server.errors import ServerError
from visionserve.server.instance.launcher import TorchServe
from visionserve.server.settings.properties import Properties

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files are."""
    folder = tmp_path / "private"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def properties() -> Properties:
    return Properties.read(REPOSITORY / "config.properties").on_free_ports()


def test_logs_survive_the_next_starts_and_are_bounded(
    private: Path, properties: Properties, tmp_path: Path
) -> None:
    archives, logs = {"net": pack(tmp_path / "store", "net")}, tmp_path / "logs"
    for number in range(7):  # each ends at once, and says of what
        wrong = properties.replace(vmargs=f"-Xmx2560m -XX:NoSuchFlag{number}")
        with TorchServe(archives, wrong, logs) as server:
            assert server.folder.parent == private
            assert server.folder.stat().st_mode & 0o777 == 0o700
            assert server.process.wait(30) == 1
    assert "NoSuchFlag6" in (logs / "java.log").read_text()
    for number in range(1, 6):
        assert f"NoSuchFlag{6 - number}" in (logs / f"java.log.{number}").read_text()
    assert not (logs / "java.log.6").exists()
    assert list(private.iterdir()) == []


def test_a_start_that_fails_leaves_no_folder(private: Path, properties: Properties, tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file, where a folder has to be")
    with pytest.raises(ServerError, match="logs: File exists"):
        TorchServe({"net": pack(tmp_path / "store", "net")}, properties, tmp_path / "logs")
    assert list(private.iterdir()) == []
