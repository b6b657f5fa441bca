"""One real TorchServe for the whole run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests import quick

from visionserve.build import catalog, package
from visionserve.client import Client
from visionserve.server import health
from visionserve.server.launcher import TorchServe
from visionserve.server.properties import Properties

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from visionserve.build.package import Packaged

# ResNet-50 again, waiting long enough for a batch to fill: requests sent together are answered together.
BATCHING_MODEL = "demo-batching"


@pytest.fixture(scope="session")
def batching_archive(project: Path, demo_archives: dict[str, Packaged]) -> Path:
    text = (project / "models" / "demo" / "demo-resnet50.yaml").read_text()
    source = project / "models" / "demo" / f"{BATCHING_MODEL}.yaml"
    source.write_text(text.replace("maxBatchDelay: 2", "maxBatchDelay: 1000"))
    return package.package(project, catalog.read(source), source).archive.path


@pytest.fixture(scope="session")
def server(project: Path, demo_archives: dict[str, Packaged], batching_archive: Path) -> Iterator[TorchServe]:
    """TorchServe with both demo models and the batching one, each proven ready."""
    archives = {name: built.archive.path for name, built in demo_archives.items()}
    archives[BATCHING_MODEL] = batching_archive
    properties = Properties.read(project / "config.properties").on_free_ports()
    with TorchServe(archives, properties, project / "logs") as running:
        for _ in health.wait_until_ready(running, timeout=240):
            pass
        yield running


@pytest.fixture(scope="session")
def client(server: TorchServe) -> Iterator[Client]:
    with Client(server.properties.inference, server.properties.management) as opened:
        yield opened


@pytest.fixture(scope="session")
def quick_server(project: Path) -> Iterator[TorchServe]:
    """TorchServe with the quick model, for hundreds of requests."""
    built = quick.build(project, "quick")
    properties = Properties.read(project / "config.properties").on_free_ports()
    with TorchServe({"quick": built.archive.path}, properties, project / "logs-quick") as running:
        for _ in health.wait_until_ready(running, timeout=120):
            pass
        yield running


@pytest.fixture(scope="session")
def quick_url(quick_server: TorchServe) -> str:
    return f"{quick_server.properties.inference}/predictions/quick"


@pytest.fixture(scope="session")
def offline(quick_server: TorchServe, project: Path) -> quick.Offline:
    """The quick network without us."""
    return quick.Offline(project)


@pytest.fixture
def same_workers(quick_server: TorchServe) -> Iterator[None]:
    """The quick model's workers are the same processes after the test as before."""
    with Client(quick_server.properties.inference, quick_server.properties.management) as opened:
        before = opened.worker_pids("quick")
        yield
        assert opened.worker_pids("quick") == before
