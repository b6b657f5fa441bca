"""The layer table: torchvision's own published numbers, for any class count and input size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
import torchvision

from visionserve.archiver import summary
from visionserve.runtime.errors import SpecError, WeightsError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "architecture",
    ["resnet50", "vgg16", "vit_b_16", "swin_v2_t", "maxvit_t", "densenet121", "googlenet", "convnext_tiny"],
)
def test_totals_are_those_that_torchvision_publishes(architecture: str, tmp_path: Path) -> None:
    meta = torchvision.models.get_model_weights(architecture).DEFAULT.meta
    (tmp_path / "models").mkdir()

    found = summary.summarize(tmp_path, architecture)

    assert found.parameters == meta["num_params"]
    assert found.multiply_adds / 1e9 == pytest.approx(meta["_ops"], abs=6e-4)  # published with three decimals
    assert found.classes == 1000


def test_layers_of_a_fine_tuned_model(project: Path) -> None:
    found = summary.summarize(project, "demo-resnet18", (3, 640, 640))

    assert found.classes == 7
    assert found.classes_from.endswith("demo-resnet18.pth")
    layers = {layer.name: layer for layer in found.layers}
    assert layers[""].output == (1, 7)
    assert layers["conv1"].output == (1, 64, 320, 320)
    assert layers["conv1"].parameters == 64 * 3 * 7 * 7
    assert layers["conv1"].multiply_adds == 64 * 3 * 7 * 7 * 320 * 320
    assert layers["fc"].parameters == 512 * 7 + 7
    assert layers["fc"].multiply_adds == 512 * 7
    assert layers["layer1.0.conv1"].depth == 3
    assert sum(layer.parameters for layer in found.layers if layer.depth == 1) == found.parameters


def test_weights_named_on_the_command_line_give_the_class_count(project: Path, tmp_path: Path) -> None:
    torch.save(torchvision.models.resnet18(num_classes=3).state_dict(), tmp_path / "three.pth")

    assert summary.summarize(project, "resnet18", weights_path=tmp_path / "three.pth").classes == 3
    with pytest.raises(WeightsError, match="they fit resnet18 with 3 classes"):
        summary.summarize(project, "resnet34", weights_path=tmp_path / "three.pth")


def test_impossible_input_and_model(project: Path) -> None:
    with pytest.raises(SpecError, match=r"^vit_b_16 cannot take a 3x640x640 input: Wrong image height!.*$"):
        summary.summarize(project, "vit_b_16", (3, 640, 640))
    with pytest.raises(SpecError, match=r"^resnet18 cannot take a 1x64x64 input: Invalid channel dimensions$"):
        summary.summarize(project, "resnet18", (1, 64, 64))
    with pytest.raises(SpecError, match=r"no model 'nope'"):
        summary.summarize(project, "nope")


def test_a_class_count_needs_no_weights(project: Path) -> None:
    found = summary.summarize(project, "resnet18", (3, 640, 640), classes=7)
    assert (found.classes, found.classes_from) == (7, "--classes")
    assert found.layers[0].output == (1, 7)
    assert found.input == (3, 640, 640)
    own = summary.summarize(project, "demo-resnet18", classes=9)  # its weights, which are there, have 7
    assert (own.classes, own.layers[0].output) == (9, (1, 9))


def test_a_class_count_beside_named_weights_must_be_theirs(project: Path, tmp_path: Path) -> None:
    three = tmp_path / "three.pth"
    torch.save(torchvision.models.resnet18(num_classes=3).state_dict(), three)

    assert summary.summarize(project, "resnet18", weights_path=three, classes=3).classes_from == str(three)
    with pytest.raises(WeightsError, match=r"three\.pth has 3 classes and --classes says 7"):
        summary.summarize(project, "resnet18", weights_path=three, classes=7)
