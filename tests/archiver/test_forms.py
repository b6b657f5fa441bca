"""Weights in any form to an archive that answers as torch does offline."""

from __future__ import annotations

import functools
import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torchvision
import yaml
from PIL import Image
from tests.archiver.conftest import FORMS, Form
from tests.conftest import EXACT
from tests.support.unpacked import served, served_contents
from torch import nn

from visionserve.archiver import builder
from visionserve.archiver.demo import colours
from visionserve.archiver.errors import LabelsError, UntrustedPickle
from visionserve.archiver.models import catalog
from visionserve.runtime import archive
from visionserve.runtime.errors import VisionserveError, WeightsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from visionserve.archiver.builder import Built
    from visionserve.archiver.models.spec import ModelSpec

LABELS = list(colours.HUES)
# The small network in these forms always and in every form in the slow tier; the large ones in one form in the
# slow tier, in all by `make test-forms`. That every form gives the same tensors is asked of all of them always.
SMALL = "resnet18"
ALWAYS = (
    "state dict",
    "state dict, legacy",
    "DataParallel checkpoint",
    "averaged weights",
    "TorchScript, scripted",
    "safetensors",
    "fp16",
    "backbone.",
)
LARGE = ("resnet50", "vgg16")
LARGE_FORM = "DataParallel checkpoint"


def tier(architecture: str, form: str) -> list[pytest.MarkDecorator]:
    """The marks of one network in one form."""
    if architecture == SMALL:
        return [] if form in ALWAYS else [pytest.mark.slow]
    return [pytest.mark.slow if form == LARGE_FORM else pytest.mark.manual]


@pytest.fixture(scope="module")
def nets(request: pytest.FixtureRequest) -> Callable[[str], nn.Module]:
    """The demo networks by architecture, as a script of one's own would load them."""

    @functools.cache
    def load(architecture: str) -> nn.Module:
        if architecture == SMALL:
            file = request.getfixturevalue("small_weights")
        else:
            file = request.getfixturevalue("large_weights")[f"demo-{architecture}"]
        net: nn.Module = torchvision.models.get_model(architecture, num_classes=len(LABELS))
        net.load_state_dict(torch.load(file, weights_only=True))
        return net.eval()

    return load


@pytest.fixture(scope="module")
def pictures() -> list[bytes]:
    return [data for _, data in colours.held_out(per_class=1)][:3]


@pytest.fixture(scope="module")
def offline(
    nets: Callable[[str], nn.Module], pictures: list[bytes]
) -> Callable[[str, torch.dtype], list[dict[str, float]]]:
    """What torch and torchvision answer, by architecture and the precision its weights were saved in."""

    @functools.cache
    def answers(architecture: str, dtype: torch.dtype) -> list[dict[str, float]]:
        net = nets(architecture)
        exact = {name: tensor.clone() for name, tensor in net.state_dict().items()}
        net.load_state_dict({k: v.to(dtype).to(v.dtype) if v.is_floating_point() else v for k, v in exact.items()})
        transform = torchvision.models.get_model_weights(architecture).DEFAULT.transforms()
        batch = torch.stack([transform(Image.open(io.BytesIO(data)).convert("RGB")) for data in pictures])
        with torch.inference_mode():
            probabilities = net(batch).softmax(dim=1).tolist()
        net.load_state_dict(exact)
        return [dict(zip(LABELS, row, strict=True)) for row in probabilities]

    return answers


@pytest.fixture(scope="module")
def answered() -> dict[str, list[dict[str, float]]]:
    """What archives answered, by their contents: most forms give the same ones, which need be asked only once."""
    return {}


def model(project: Path, name: str, **handler: Any) -> tuple[ModelSpec, Path]:
    """A model's YAML in the project."""
    source = project / "models" / f"{name}.yaml"
    source.write_text(
        yaml.safe_dump({"batchSize": 1, "handler": {**EXACT, "labels": "models/demo/colours.txt", **handler}})
    )
    return catalog.read(source), source


def assert_same(got: list[dict[str, float]], expected: list[dict[str, float]]) -> None:
    for answer, wanted in zip(got, expected, strict=True):
        assert answer == pytest.approx(wanted, abs=1e-4)
        assert max(answer, key=lambda label: answer[label]) == max(wanted, key=lambda label: wanted[label])


@pytest.mark.parametrize(
    ("architecture", "name"),
    [
        pytest.param(architecture, name, marks=tier(architecture, name))
        for architecture in (SMALL, *LARGE)
        for name in FORMS
    ],
)
def test_every_form_is_served_as_torch_answers_offline(
    architecture: str,
    name: str,
    nets: Callable[[str], nn.Module],
    pictures: list[bytes],
    offline: Callable[[str, torch.dtype], list[dict[str, float]]],
    answered: dict[str, list[dict[str, float]]],
    project: Path,
    tmp_path: Path,
) -> None:
    form: Form = FORMS[name]
    file = tmp_path / form.file
    form.save(nets(architecture), file)
    spec, source = model(
        project, "any-form", architecture=architecture, weights=str(file), topK=7, weightsKey=form.key
    )

    built = builder.build(project, spec, source, trust_pickle=form.trust)
    if not form.plain:
        file.unlink()  # what is served needs nothing but the archive
    with zipfile.ZipFile(built.archive.path) as mar:
        weights = mar.read(json.loads(mar.read(archive.MANIFEST_FILE))["model"]["serializedFile"])
    contents = served_contents(built.archive.path)
    if contents not in answered:
        answered[contents] = served(built.archive.path, tmp_path / "unpacked", pictures)

    assert_same(answered[contents], offline(architecture, form.dtype))
    carried = torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True)
    assert {tensor.dtype for tensor in carried.values()} <= {torch.float32, torch.int64}
    built.archive.path.unlink()


@pytest.fixture
def checkpoint(nets: Callable[[str], nn.Module], tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint.tar"
    FORMS["DataParallel checkpoint"].save(nets(SMALL), path)
    return path


def build(project: Path, **handler: Any) -> Built:
    spec, source = model(project, "bad-input", architecture=SMALL, **handler)
    return builder.build(project, spec, source)


def test_plain_file_is_carried_untouched_and_others_are_written_anew(
    project: Path, small_weights: Path, checkpoint: Path
) -> None:
    plain = build(project, weights="weights/demo-resnet18.pth").archive.path
    with zipfile.ZipFile(plain) as mar:
        assert mar.read("demo-resnet18.pth") == small_weights.read_bytes()
    built = build(project, weights=str(checkpoint))
    with zipfile.ZipFile(built.archive.path) as mar:
        assert "bad-input.pth" in mar.namelist()
        provenance = json.loads(mar.read("provenance.json"))["weights"]
    assert provenance["file"] == "checkpoint.tar"
    assert (provenance["key"], provenance["prefix"]) == ("state_dict", "module.")
    assert "'state_dict', epoch 3, prefix 'module.' removed" in built.weights


def test_archive_is_the_same_bytes_each_time(project: Path, checkpoint: Path) -> None:
    first = build(project, weights=str(checkpoint)).archive.sha256

    assert build(project, weights=str(checkpoint)).archive.sha256 == first


def hostile(path: Path) -> None:
    FORMS["whole model"].save(torchvision.models.resnet18(num_classes=7), path)


def other_architecture(path: Path) -> None:
    torch.save(torchvision.models.resnet34(num_classes=7).state_dict(), path)


BAD: dict[str, tuple[Mapping[str, Any], Any, type[VisionserveError], str]] = {
    "wrong architecture": ({}, other_architecture, WeightsError, r"they fit resnet34 with 7 classes"),
    "whole model": ({}, hostile, UntrustedPickle, r"torchvision\.models\.resnet\.ResNet.*--trust-pickle"),
    "empty": ({}, lambda path: path.write_bytes(b""), WeightsError, r"is empty"),
    "a directory": ({}, lambda path: path.mkdir(), WeightsError, r"is a directory"),
    "other digest": (
        {"sha256": "0" * 64},
        lambda path: path.write_bytes(b"x"),
        WeightsError,
        r"the model's YAML says 000",
    ),
    "missing": ({}, lambda path: None, WeightsError, r"no weights for bad-input: put .*own\.pth into"),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_bad_weights_are_refused_in_one_line_and_nothing_is_written(
    name: str, project: Path, tmp_path: Path
) -> None:
    settings, write, error, message = BAD[name]
    file = tmp_path / "own.pth"
    write(file)
    (project / "model_store" / "bad-input.mar").unlink(missing_ok=True)
    before = sorted((project / "model_store").iterdir()) if (project / "model_store").exists() else []

    with pytest.raises(error, match=message) as caught:
        build(project, weights=str(file), **settings)

    assert "\n" not in str(caught.value)
    assert (sorted((project / "model_store").iterdir()) if (project / "model_store").exists() else []) == before


def test_labels_and_head_that_disagree(project: Path, tmp_path: Path) -> None:
    labels = tmp_path / "index_to_name.json"
    labels.write_text('{"0": ["n1", "cat"], "1": ["n2", "dog"]}')

    with pytest.raises(LabelsError, match=r"index_to_name\.json: 2 labels, but the weights' head has 7 classes"):
        build(project, weights="weights/demo-resnet18.pth", labels=str(labels))
    with pytest.raises(LabelsError, match=r"its 7 classes have no names: add 'labels: FILE'"):
        build(project, weights="weights/demo-resnet18.pth", labels=None)


def test_overflowing_network_is_not_archived(
    nets: Callable[[str], nn.Module], project: Path, tmp_path: Path
) -> None:
    state_dict = {name: tensor.clone() for name, tensor in nets(SMALL).state_dict().items()}
    for name in ("layer1.0.bn2.weight", "layer2.0.bn2.weight"):
        state_dict[name] *= 1e38
    torch.save(state_dict, tmp_path / "own.pth")

    with pytest.raises(WeightsError, match=r"answers a golden picture with NaN"):
        build(project, weights=str(tmp_path / "own.pth"))
