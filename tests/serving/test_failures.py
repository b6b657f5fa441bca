"""A server that cannot serve says why, at once, and does not stay."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.support.packed import answering_otherwise, with_member

from visionserve.server.errors import ServerError
from visionserve.server.instance import health
from visionserve.server.instance.launcher import TorchServe
from visionserve.server.settings.properties import Properties

if TYPE_CHECKING:
    from pathlib import Path

    from visionserve.archiver.builder import Built


@pytest.fixture
def properties(project: Path) -> Properties:
    return Properties.read(project / "config.properties").on_free_ports()


def test_other_weights_than_the_golden_answers_were_made_with_never_become_ready(
    demo_archives: dict[str, Built], properties: Properties, tmp_path: Path
) -> None:
    changed = answering_otherwise(demo_archives["demo-resnet18"].archive.path, tmp_path / "changed.mar")
    with TorchServe({"changed": changed}, properties, tmp_path / "logs") as server:
        with pytest.raises(
            ServerError, match=r"changed cannot be served: .*golden picture photograph-2-224x224\.png"
        ):
            list(health.wait_until_ready(server, timeout=120))
        java = psutil.Process(server.process.pid)
        workers = java.children(recursive=True)
    assert not java.is_running()
    assert not any(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers)
    assert not server.folder.exists()


@pytest.mark.slow
def test_a_handler_that_cannot_be_imported_is_named(
    demo_archives: dict[str, Built], properties: Properties, tmp_path: Path
) -> None:
    mar = demo_archives["demo-resnet18"].archive.path
    broken = with_member(
        mar, tmp_path / "broken.mar", "visionserve_image_classifier.py", b"import no_such_package"
    )
    with (
        TorchServe({"broken": broken}, properties, tmp_path / "logs") as server,
        pytest.raises(ServerError, match=r"broken cannot be served: ModuleNotFoundError: No module named"),
    ):
        list(health.wait_until_ready(server, timeout=120))


def test_a_port_in_use_is_named_before_anything_starts(
    demo_archives: dict[str, Built], properties: Properties, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        busy = properties.replace(management_address=f"http://127.0.0.1:{port}")
        with pytest.raises(
            ServerError, match=rf"port {port} \(management_address in config\.properties\) is in use"
        ):
            TorchServe({"demo": demo_archives["demo-resnet18"].archive.path}, busy, tmp_path)


def test_a_server_that_cannot_start_java_says_what_java_said(
    demo_archives: dict[str, Built], properties: Properties, tmp_path: Path
) -> None:
    wrong = properties.replace(vmargs="-Xmx2560m -XX:NoSuchFlag")
    with (
        TorchServe({"demo": demo_archives["demo-resnet18"].archive.path}, wrong, tmp_path / "logs") as server,
        pytest.raises(ServerError, match=r"TorchServe ended with code 1: .*NoSuchFlag"),
    ):
        list(health.wait_until_ready(server, timeout=60))


def test_workflows_and_models_cannot_be_registered_from_a_url(server: TorchServe, tmp_path: Path) -> None:
    import requests

    (tmp_path / "evil.war").write_bytes(b"PK")
    management = server.properties.management
    for path in ("workflows", "models"):
        answer = requests.post(
            f"{management}/{path}", params={"url": (tmp_path / "evil.war").as_uri()}, timeout=30
        )
        assert answer.status_code >= 400
    assert not list(server.folder.rglob("evil*"))
    assert list((server.folder / "workflows").iterdir()) == []
