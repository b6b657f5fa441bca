"""What `serve --print-config` shows is what would be written, and what serve refuses it refuses."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.server.edge.conftest import free_address
from tests.support.packed import pack

from visionserve.project import Project
from visionserve.server.errors import ServerError
from visionserve.server.run.folder import RunFolder
from visionserve.server.run.warden import Warden
from visionserve.server.settings.properties import Properties
from visionserve.server.settings.serving import EdgeSettings, KeySettings, Serving
from visionserve.server.supervision import layout, preview
from visionserve.server.supervision.front import Front

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@pytest.fixture
def project() -> Iterator[Project]:
    """A folder short enough for sockets, with settings as they are shipped."""
    with tempfile.TemporaryDirectory(prefix="preview-", dir="/tmp") as name:
        (Path(name) / "config.properties").touch()
        yield Project(Path(name))


@pytest.fixture
def archives(project: Project) -> Mapping[str, Path]:
    return {name: pack(project.store, name) for name in ("m", "n")}


def test_it_is_what_haproxy_is_given(
    project: Project, archives: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visionserve.runtime.machine.cores.available", lambda: 64)
    settings = Serving(edge=EdgeSettings(address=free_address()), instances=2)
    shown = preview.text(project, settings, archives)
    folder, warden = RunFolder.make(project), Warden()
    whole = layout.completed(settings, project, Properties.read(project.config))
    front = Front(whole, layout.slots(folder, settings), folder, project.logs, archives, warden)
    try:
        written = (folder.edge / "haproxy.cfg").read_text()
    finally:
        front.end()
        warden.close()
    assert shown.partition("# HAProxy\n")[2] == written
    assert "nbthread 4\n" in written
    assert all(f"path /v2/models/{name} " in written for name in archives)


@pytest.mark.parametrize("edge", [True, False])
def test_what_is_not_served_is_not_shown(edge: bool, project: Project) -> None:
    project.config.write_text("management_address=http://0.0.0.0:8081\n")
    with pytest.raises(ServerError, match=r"management_address=http://0\.0\.0\.0:8081 is not served with"):
        preview.text(project, Serving() if edge else None, {})


def test_files_that_cannot_be_read_are_told(project: Project) -> None:
    with pytest.raises(ServerError, match=r"keys\.txt: cannot be read"):
        preview.text(project, Serving(keys=KeySettings(file="keys.txt")), {})
    with pytest.raises(ServerError, match=r"tls\.pem: cannot be read"):
        preview.text(project, Serving(edge=EdgeSettings(certificate="tls.pem")), {})


def test_too_deep_a_folder_is_told(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    (deep / "config.properties").touch()
    assert preview.text(Project(deep), Serving(), {}).startswith(
        f"# {deep}/.visionserve/run is reached by a short"
    )
