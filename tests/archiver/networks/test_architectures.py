"""Which architecture a state dict is, and every torchvision classifier from random weights to a proven archive."""

from __future__ import annotations

import dataclasses
import re
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torchvision
from torch import nn

from visionserve.archiver import builder
from visionserve.archiver.models.spec import HandlerSpec, InputChanges, ModelSpec
from visionserve.archiver.networks import architectures
from visionserve.archiver.weights import entries
from visionserve.runtime import network
from visionserve.runtime.errors import SpecError, WeightsError
from visionserve.runtime.worker import Worker

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = 5
# Quick ones always, one of each small family in the slow tier, the others by `make test-architectures`.
QUICK = ("mnasnet0_5", "resnet18", "shufflenet_v2_x0_5", "squeezenet1_1")
SMALL = (
    "alexnet",
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "inception_v3",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "swin_t",
)


def tier(architecture: str) -> list[pytest.MarkDecorator]:
    """The marks of one architecture."""
    if architecture in QUICK:
        return []
    return [pytest.mark.slow if architecture in SMALL else pytest.mark.manual]


def meta_state_dict(architecture: str, classes: int = CLASSES, **options: Any) -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        net = torchvision.models.get_model(architecture, num_classes=classes, **options)
    return dict(net.state_dict())


@pytest.mark.parametrize("classes", [1, 2, 7, 1000, 21841])
def test_class_count_is_read_from_the_head(classes: int) -> None:
    fitted = architectures.fit("resnet18", {}, meta_state_dict("resnet18", classes))

    assert fitted.classes == classes
    assert fitted.unchanged


def test_wrong_architecture_says_which_would_fit() -> None:
    with pytest.raises(WeightsError) as caught:
        architectures.fit("resnet50", {}, meta_state_dict("vgg16", 7))

    assert str(caught.value) == (
        "the weights are not those of resnet50: keys 267 missing, first 'conv1.weight'; 32 unexpected, first"
        " 'features.0.weight'; they fit vgg16 with 7 classes"
    )
    with pytest.raises(
        WeightsError, match=r"'layer1\.0\.conv1\.weight' has shape .*; they fit resnext50_32x4d with 3"
    ):
        architectures.fit("resnet50", {}, meta_state_dict("resnext50_32x4d", 3))


def test_no_architecture_fits_a_strange_net() -> None:
    with pytest.raises(WeightsError, match="no torchvision classifier has these shapes"):
        architectures.fit("resnet18", {}, dict(nn.Linear(3, 3).state_dict()))


@pytest.mark.parametrize(
    "architecture", ["resnet50", "vgg16_bn", "inception_v3", "vit_h_14", "swin_v2_t", "maxvit_t"]
)
def test_shapes_tell_the_architecture(architecture: str) -> None:
    state_dict = {
        name: torch.empty(tensor.shape, device="meta")
        for name, tensor in network.build(architecture, CLASSES, architectures.options(architecture, 224))
        .state_dict()
        .items()
    }

    assert architectures.candidates(state_dict) == [architectures.Candidate(architecture, CLASSES)]


def test_old_files_without_batch_counters_load() -> None:
    state_dict = meta_state_dict("resnet18")
    old = {name: tensor for name, tensor in state_dict.items() if not name.endswith("num_batches_tracked")}

    fitted = architectures.fit("resnet18", {}, old)

    assert list(fitted.state_dict) == list(state_dict)
    assert not fitted.unchanged


@pytest.mark.parametrize(
    ("architecture", "pattern", "old"),
    [
        # Names in torchvision's own files: `_load_state_dict` in densenet.py, `MLPBlock` in vision_transformer.
        ("densenet121", r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2."),
        ("vit_b_16", r"\.mlp\.0\.", ".mlp.linear_1."),
        ("vit_b_16", r"\.mlp\.3\.", ".mlp.linear_2."),
    ],
)
def test_torchvisions_old_names_are_renamed(architecture: str, pattern: str, old: str) -> None:
    state_dict = meta_state_dict(architecture)
    renamed = {re.sub(pattern, old, name): tensor for name, tensor in state_dict.items()}
    assert set(renamed) != set(state_dict)

    assert list(architectures.fit(architecture, {}, renamed).state_dict) == list(state_dict)


@pytest.mark.parametrize("architecture", ["googlenet", "inception_v3"])
def test_auxiliary_heads_of_another_class_count_are_left_out(architecture: str) -> None:
    """Who replaces `fc` of the pretrained network keeps auxiliary heads for 1000 classes."""
    state_dict = meta_state_dict(architecture, 1000, init_weights=False)
    head = meta_state_dict(architecture, 3, init_weights=False)
    state_dict |= {name: head[name] for name in ("fc.weight", "fc.bias")}

    fitted = architectures.fit(architecture, architectures.options(architecture, 224), state_dict)

    assert fitted.classes == 3
    assert not any(name.startswith(("aux", "Aux")) for name in fitted.state_dict)


@pytest.mark.parametrize("architecture", ["googlenet", "inception_v3"])
def test_pretrained_inception_nets_answer_as_torchvision_builds_them(architecture: str) -> None:
    """Torchvision's own constructors transform the input again when the weights are pretrained."""
    torch.manual_seed(0)
    constructor = {"googlenet": torchvision.models.GoogLeNet, "inception_v3": torchvision.models.Inception3}
    official = constructor[architecture](
        num_classes=4, aux_logits=True, transform_input=True, init_weights=False
    ).eval()
    options = architectures.options(architecture, 299)
    fitted = architectures.fit(architecture, options, official.state_dict())

    net = network.load(architecture, options, fitted.state_dict, fitted.classes, torch.device("cpu"))

    pixels = torch.rand(2, 3, 299, 299)
    with torch.inference_mode():
        assert torch.equal(net(pixels), official(pixels))


def test_vision_transformer_for_other_pictures_says_which() -> None:
    state_dict = meta_state_dict("vit_b_16", image_size=384)

    assert architectures.fit("vit_b_16", {"image_size": 384}, state_dict).classes == CLASSES
    with pytest.raises(
        WeightsError, match=r"vit_b_16 for 384x384 pictures, not 224x224: set handler\.input\.crop to 384"
    ):
        architectures.fit("vit_b_16", {"image_size": 224}, state_dict)


def test_head_behind_dropout_is_unwrapped_and_said() -> None:
    net = torchvision.models.resnet18()
    net.fc = nn.Sequential(nn.Dropout(), nn.Linear(512, CLASSES))

    fitted = architectures.fit("resnet18", {}, net.state_dict())

    assert fitted.classes == CLASSES
    assert fitted.note.startswith("the head 'fc.1' is served as 'fc'")
    net.fc = nn.Sequential(nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, CLASSES))
    with pytest.raises(WeightsError, match=r"not those of resnet18"):
        architectures.fit("resnet18", {}, net.state_dict())


def test_unknown_architecture_and_option() -> None:
    with pytest.raises(SpecError, match=r"no classifier 'resnet51'; it has alexnet, .*package\.module:function"):
        architectures.fit("resnet51", {}, {})
    with pytest.raises(SpecError, match=r"resnet18 cannot be built with dropout=0\.5: .*unexpected keyword"):
        architectures.fit("resnet18", {"dropout": 0.5}, {})


def prove(architecture: str, project: Path, folder: Path) -> None:
    """Random weights -> archive -> unpacked -> loaded, warmed up, and its golden answers the same."""
    torch.manual_seed(0)
    # The default entry of ViT-H/14 is for 518 pixels, and two cores would take a quarter of an hour.
    changes = InputChanges(crop=224) if architecture == "vit_h_14" else None
    default = HandlerSpec(architecture=architecture, input=changes)
    options = architectures.options(architecture, entries.transform(default).crop)
    net = torchvision.models.get_model(architecture, num_classes=CLASSES, **options)
    name = f"random-{architecture}"
    weights_file = folder / f"{name}.pth"
    labels = folder / "labels.txt"
    torch.save(net.state_dict(), weights_file)
    del net
    labels.write_text("\n".join("abcde"))
    spec = ModelSpec(
        name=name,
        batch_size=2,
        handler=dataclasses.replace(
            default, weights=str(weights_file), labels=str(labels), engine="eager", precision="fp32"
        ),
    )
    built = builder.build(project, spec, labels)
    weights_file.unlink()
    unpacked = folder / "unpacked"
    with zipfile.ZipFile(built.archive.path) as archive:
        archive.extractall(unpacked)
    built.archive.path.unlink()
    assert len(Worker.open(unpacked, device=torch.device("cpu")).model.labels) == CLASSES


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "architecture",
    [pytest.param(name, marks=tier(name)) for name in network.names()],
)
def test_random_weights_pass_their_golden_pictures(architecture: str, project: Path, tmp_path: Path) -> None:
    prove(architecture, project, tmp_path)
