"""What is told from a weights file, what is taken for granted, and that both are said."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
import torchvision

from visionserve.archiver import assumptions, draft
from visionserve.archiver.assumptions import Stated
from visionserve.archiver.errors import LabelsError
from visionserve.archiver.models import catalog
from visionserve.archiver.models.spec import InputChanges
from visionserve.archiver.networks import architectures
from visionserve.project import Project
from visionserve.runtime.errors import SpecError, WeightsError

CLASSES = 3


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "birds.pth"
    net = torchvision.models.shufflenet_v2_x0_5(num_classes=CLASSES)
    torch.save({"state_dict": {f"module.{k}": v for k, v in net.state_dict().items()}}, path)
    return path


def test_everything_is_told_from_the_file(checkpoint: Path, tmp_path: Path) -> None:
    assumed = assumptions.assume(Project(tmp_path), checkpoint, Stated())

    assert assumed.spec.name == "birds"
    assert assumed.spec.handler.architecture == "shufflenet_v2_x0_5"
    assert assumed.labels == ["0", "1", "2"]
    assert (assumed.transform.resize, assumed.transform.crop) == (256, 224)
    assert "3 classes" in assumed.facts["architecture"]
    assert "prefix 'module.' removed" in assumed.facts["weights"]
    assert "'state_dict'" in assumed.facts["weights"]
    assert "ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1" in assumed.facts["transform"]
    assert "--labels FILE" in assumed.facts["labels"]


def test_what_is_said_comes_first(checkpoint: Path, tmp_path: Path) -> None:
    labels = tmp_path / "birds.txt"
    labels.write_text("wren\nrook\nkite\n")
    stated = Stated(name="aves", labels=labels, input=InputChanges(resize=300, mean=(0.5, 0.5, 0.5)))
    assumed = assumptions.assume(Project(tmp_path), checkpoint, stated)

    assert assumed.spec.name == "aves"
    assert assumed.labels == ["wren", "rook", "kite"]
    assert (assumed.transform.resize, assumed.transform.crop) == (300, 224)
    assert assumed.transform.mean == (0.5, 0.5, 0.5)
    assert "resize, mean as you said" in assumed.facts["transform"]
    assert "'wren' is class 0 and 'kite' class 2" in assumed.facts["labels"]


def test_a_crop_larger_than_the_picture_is_told(checkpoint: Path, tmp_path: Path) -> None:
    assumed = assumptions.assume(Project(tmp_path), checkpoint, Stated(input=InputChanges(resize=100)))
    assert "whose border will be black: say --crop 100" in assumed.facts["transform"]


def test_labels_of_another_count_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    labels = tmp_path / "birds.txt"
    labels.write_text("wren\nrook\n")
    with pytest.raises(LabelsError, match="2 labels, but the weights' head has 3 classes"):
        assumptions.assume(Project(tmp_path), checkpoint, Stated(labels=labels))


def test_the_resize_that_most_people_trained_with_is_named(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save(torchvision.models.regnet_y_400mf(num_classes=2).state_dict(), path)
    fact = assumptions.assume(Project(tmp_path), path, Stated()).facts["transform"]
    assert fact.startswith("resize 232 ")
    assert "say --resize 256 if you did" in fact
    said = assumptions.assume(Project(tmp_path), path, Stated(input=InputChanges(resize=256)))
    assert "Most people" not in said.facts["transform"]


def test_several_that_fit_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No two of torchvision's networks have the same names and shapes now; a later release may."""
    path = tmp_path / "net.pth"
    torch.save(torchvision.models.mnasnet0_5(num_classes=2).state_dict(), path)
    found = architectures.candidates(torch.load(path, weights_only=True))
    twins = [found[0], dataclasses.replace(found[0], architecture="resnet18")]
    monkeypatch.setattr(architectures, "candidates", lambda _state_dict: twins)
    with pytest.raises(WeightsError, match=r"mnasnet0_5 and resnet18 all fit; choose with --architecture"):
        assumptions.assume(Project(tmp_path), path, Stated())


def test_weights_of_no_known_network_name_the_way_on(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save({"layer.weight": torch.rand(2, 2)}, path)
    with pytest.raises(WeightsError, match=r"--architecture package\.module:function"):
        assumptions.assume(Project(tmp_path), path, Stated())


def test_a_network_of_ones_own_gets_the_usual_transform(tmp_path: Path) -> None:
    (tmp_path / "own_net.py").write_text(
        "import torch\n\ndef make(num_classes):\n"
        "    return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),"
        " torch.nn.Linear(3, num_classes))\n"
    )
    path = tmp_path / "own.pth"
    torch.save({"2.weight": torch.rand(4, 3), "2.bias": torch.rand(4)}, path)
    assumed = assumptions.assume(Project(tmp_path), path, Stated(architecture="own_net:make"))
    assert len(assumed.labels) == 4
    assert (assumed.transform.resize, assumed.transform.crop) == (256, 224)
    assert "of your own brings none" in assumed.facts["transform"]


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("flowers.pth", "flowers"),
        ("My flowers.pth.tar", "My-flowers"),
        ("resnet50-11ad3fa6.pth", "resnet50"),
        ("net.v2.safetensors", "net.v2"),
        ("_best_.ckpt", "best"),
        ("?.pt", "model"),
    ],
)
def test_a_file_gives_a_name_that_torchserve_takes(file: str, name: str) -> None:
    assert assumptions.model_name(Path(file)) == name


def test_the_draft_says_what_was_told_and_is_read_back(checkpoint: Path, tmp_path: Path) -> None:
    project = Project(tmp_path)
    assumed = assumptions.assume(project, checkpoint, Stated(key="state_dict"))
    written = draft.write(project, assumed, None)
    assert written == [tmp_path / "models" / "birds.yaml", tmp_path / "models" / "birds.txt"]

    spec = catalog.read(written[0])
    assert spec.handler.architecture == "shufflenet_v2_x0_5"
    assert spec.handler.weights == str(checkpoint)
    assert spec.handler.weights_key == "state_dict"
    assert spec.handler.sha256 == assumed.sha256
    assert spec.handler.labels == "models/birds.txt"
    assert spec.handler.input is not None
    assert spec.handler.input.complete() == assumed.transform
    assert "# shufflenet_v2_x0_5 with 3 classes, the only" in written[0].read_text()

    with pytest.raises(SpecError, match="is there already; --force"):
        draft.write(project, assumed, None)
    (tmp_path / "models" / "birds.txt").write_text("mine")
    draft.write(project, assumed, None, force=True)
    assert (tmp_path / "models" / "birds.txt").read_text() == "mine"
