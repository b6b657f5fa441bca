"""What nobody thought of ends nothing that is served."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from visionserve.project import Project
from visionserve.server.errors import ServerError
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


def test_an_edge_that_says_nothing_more_does_not_make_the_end_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    project = Project(tmp_path)
    served = Supervisor(project, {}, Serving(), Properties.read(project.config), admission.kept, 1.0)

    def drain(_seconds: float, _go_on: object) -> None:
        raise ServerError("HAProxy does not answer")

    monkeypatch.setattr(served, "_instances", ["one"], raising=False)
    monkeypatch.setattr(served, "_front", SimpleNamespace(drain=drain), raising=False)
    served._drain()
    assert "without knowing what is under way: HAProxy does not answer" in caplog.text
