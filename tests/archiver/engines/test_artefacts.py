"""What an archive brings for `engine: auto`."""

from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
import torchvision
from tests.support import quick
from tests.support.unpacked import source, unpacked

from visionserve.archiver.engines import artefacts, ncnn_graph
from visionserve.runtime.engines import ncnn, openvino
from visionserve.runtime.errors import EngineError

if TYPE_CHECKING:
    from visionserve.archiver.builder import Built
    from visionserve.archiver.models.spec import HandlerSpec
    from visionserve.runtime.engines import Engine
    from visionserve.runtime.model import Precision

NCNN = {ncnn.GRAPH_FILE, ncnn.WEIGHTS_FILE}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = quick.project(tmp_path)
    (root / "model_store").mkdir()
    return root


@pytest.fixture
def archive(root: Path) -> Path:
    """An archive of the quick model, unpacked."""
    return unpacked(quick.build(root, "plain").archive.path, root / "unpacked")


def members(built: Built) -> set[str]:
    with zipfile.ZipFile(built.archive.path) as mar:
        return set(mar.namelist())


def test_a_network_of_3x3_convolutions_gets_all_that_may_be_fastest(root: Path) -> None:
    built = quick.build(root, "quick", engine="auto", precision="auto")
    assert members(built) >= {openvino.GRAPH_FILE, *NCNN}
    assert built.notes == ()


@pytest.mark.parametrize(
    ("architecture", "precision", "made"),
    [("resnet18", "fp32", True), ("resnet18", "bf16", False), ("mobilenet_v3_small", "auto", False)],
)
def test_ncnn_comes_only_where_it_may_be_taken_and_be_faster(
    architecture: str, precision: Precision, made: bool, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ncnn_graph, "members", lambda *_: {ncnn.GRAPH_FILE: b""})
    monkeypatch.setattr(openvino, "is_installed", lambda: False)
    network = torchvision.models.get_model(architecture, num_classes=len(quick.LABELS)).eval()
    model = dataclasses.replace(
        source(archive).model, engine="auto", architecture=architecture, precision=precision
    )
    written, reference = cast("HandlerSpec", None), cast("Engine", None)
    found = artefacts.make(Path(), written, model, network.state_dict(), reference)
    assert (ncnn.GRAPH_FILE in found.members) == made


def test_what_ncnn_cannot_take_is_a_note(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def members_of(*_: object) -> dict[str, bytes]:
        raise EngineError("engine ncnn cannot take this network: pnnx was ended by SIGSEGV")

    monkeypatch.setattr(ncnn_graph, "members", members_of)
    built = quick.build(root, "quick", engine="auto", precision="fp32")
    assert not members(built) & NCNN
    assert built.notes == ("engine ncnn cannot take this network: pnnx was ended by SIGSEGV",)
    assert "openvino in fp32" in built.engine
