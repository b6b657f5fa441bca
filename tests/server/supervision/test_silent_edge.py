"""An HAProxy that runs and cannot be spoken to is as good as one that has ended."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.server.edge.conftest import free_address

from visionserve.server.edge import pace, uploads
from visionserve.server.edge.configuration import Slot
from visionserve.server.errors import ServerError
from visionserve.server.run.folder import RunFolder
from visionserve.server.run.warden import Warden
from visionserve.server.settings.serving import Serving
from visionserve.server.supervision.front import Front

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def folder() -> Iterator[RunFolder]:
    with tempfile.TemporaryDirectory(prefix="front-", dir="/tmp") as path:  # short, for sockets lie in it
        yield RunFolder(Path(path))


def test_one_that_cannot_be_spoken_to_is_started_again(
    folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for asked in (pace, uploads):
        monkeypatch.setattr(asked, "_EVERY", 0.0)
    settings = Serving().completed(tmp_path, address=free_address(), body=1000)
    warden = Warden()
    front = Front(settings, [Slot("a", folder.slot("a"))], folder, tmp_path / "logs", {}, warden)
    try:
        front.revive(["a"])
        shutil.rmtree(folder.edge)  # its sockets with it
        for _ in range(3):
            with pytest.raises(ServerError, match="does not answer"):
                front.revive(["a"])
        front.revive(["a"])
        assert front.restarts == 1
        assert front.control.figures().slots["a"].state == "up"
    finally:
        front.end()
        warden.close()
