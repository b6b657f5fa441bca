"""What nobody thought of ends nothing that is served."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from visionserve.project import Project
from visionserve.server.instance import admission
from visionserve.server.settings.properties import Properties
from visionserve.server.settings.serving import Serving
from visionserve.server.supervision import supervisor
from visionserve.server.supervision.supervisor import Ending, Supervisor

if TYPE_CHECKING:
    from pathlib import Path


def test_an_error_that_nobody_thought_of_ends_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(supervisor, "_AFTER_ERROR", 0.0)
    project = Project(tmp_path)
    served = Supervisor(project, {}, Serving(), Properties.read(project.config), admission.kept, 1.0)
    looks = iter([KeyError("scur"), Ending()])

    def look() -> None:
        raise next(looks)

    monkeypatch.setattr(served, "_look", look)
    with pytest.raises(Ending):
        served._serve()
    assert "KeyError('scur')" in caplog.text
    assert "Traceback" in caplog.text  # in the log; a terminal shows the line alone
