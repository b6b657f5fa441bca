"""Weights in any form to an archive that answers as torch does offline."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import io
import json
import os
import subprocess
import sys
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torchvision
import yaml
from PIL import Image
from tests.archiver.conftest import FORMS, Form
from tests.archiver.test_builder import ANSWER
from tests.conftest import EXACT
from torch import nn

from visionserve.archiver import builder, catalog, demo
from visionserve.archiver.errors import LabelsError, UntrustedPickle
from visionserve.archiver.weights import conversion
from visionserve.runtime.errors import SpecError, VisionserveError, WeightsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from visionserve.archiver.builder import Built
    from visionserve.archiver.spec import ModelSpec

LABELS = list(demo.HUES)
# The small network in every form always, the large ones in one form in the slow tier, in all by `make test-forms`.
SMALL = "resnet18"
LARGE = ("resnet50", "vgg16")
LARGE_FORM = "DataParallel checkpoint"


def tier(architecture: str, form: str) -> list[pytest.MarkDecorator]:
    """The marks of one network in one form."""
    if architecture == SMALL:
        return []
    return [pytest.mark.slow if form == LARGE_FORM else pytest.mark.manual]


@pytest.fixture(scope="module")
def nets(request: pytest.FixtureRequest) -> Callable[[str], nn.Module]:
    """The demo networks by architecture, as a script of one's own would load them."""

    @functools.cache
    def load(architecture: str) -> nn.Module:
        if architecture == SMALL:
            file = request.getfixturevalue("small_weights")
        else:
            file = request.getfixturevalue("demo_weights") / f"demo-{architecture}.pth"
        net: nn.Module = torchvision.models.get_model(architecture, num_classes=len(LABELS))
        net.load_state_dict(torch.load(file, weights_only=True))
        return net.eval()

    return load


@pytest.fixture(scope="module")
def pictures() -> list[bytes]:
    return [data for _, data in demo.held_out(per_class=1)][:3]


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


def model(project: Path, name: str, **handler: Any) -> tuple[ModelSpec, Path]:
    """A model's YAML in the project."""
    source = project / "models" / f"{name}.yaml"
    source.write_text(
        yaml.safe_dump({"batchSize": 1, "handler": {**EXACT, "labels": "models/demo/colours.txt", **handler}})
    )
    return catalog.read(source), source


def served(archive: Path, folder: Path, pictures: list[bytes]) -> list[dict[str, float]]:
    """What the archive's own handler answers, unpacked and called as TorchServe's worker does it."""
    with zipfile.ZipFile(archive) as mar:
        mar.extractall(folder)
    manifest = json.loads((folder / "MAR-INF" / "MANIFEST.json").read_text())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ts leaves its version file open
        ts = importlib.import_module("ts.context")
    config = yaml.safe_load((folder / "model-config.yaml").read_text())
    context = ts.Context(
        manifest["model"]["modelName"],
        str(folder),
        manifest,
        len(pictures),
        None,
        "0.12.0",
        model_yaml_config=config,
    )
    context.request_processor = [ts.RequestProcessor({}) for _ in pictures]
    module_spec = importlib.util.spec_from_file_location("handler", folder / manifest["model"]["handler"])
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    handler = module.ImageClassifier()
    handler.initialize(context)
    return [json.loads(body) for body in handler.handle([{"body": data} for data in pictures], context)]


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
    answers = served(built.archive.path, tmp_path / "unpacked", pictures)

    assert_same(answers, offline(architecture, form.dtype))
    carried = torch.load(next((tmp_path / "unpacked").glob("*.[pt]*[thr]")), map_location="cpu", weights_only=True)
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
    with zipfile.ZipFile(plain) as archive:
        assert archive.read("demo-resnet18.pth") == small_weights.read_bytes()
    built = build(project, weights=str(checkpoint))
    with zipfile.ZipFile(built.archive.path) as archive:
        assert "bad-input.pth" in archive.namelist()
        provenance = json.loads(archive.read("provenance.json"))["weights"]
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


NET = """
from torch import nn
from .blocks import Head, WIDTH
import nets.blocks as blocks
import math

def make(num_classes, width=WIDTH):
    return nn.Sequential(nn.Conv2d(3, width, 3, stride=4), nn.ReLU(), Head(width, num_classes))

def deaf(num_classes):
    return nn.Linear(3, 3)

def nothing(num_classes):
    return None
"""
BLOCKS = """
import torch
WIDTH = 8

class Head(torch.nn.Module):
    def __init__(self, width, classes):
        super().__init__()
        self.linear = torch.nn.Linear(width, classes)
        self.register_buffer("scale", torch.tensor(2.0), persistent=False)

    def forward(self, x):
        return self.linear(x.mean(dim=(2, 3))) * self.scale
"""


def test_architecture_of_ones_own_travels_with_its_source(
    project: Path, tmp_path: Path, pictures: list[bytes]
) -> None:
    folder = project / "nets"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "tiny.py").write_text(NET)
    (folder / "blocks.py").write_text(BLOCKS)
    (folder / "unused.py").write_text("")
    torch.manual_seed(0)
    values = {
        "0.weight": torch.randn(16, 3, 3, 3),
        "0.bias": torch.randn(16),
        "2.linear.weight": torch.randn(7, 16),
        "2.linear.bias": torch.randn(7),
    }
    conversion.write(values, tmp_path / "tiny.safetensors")
    transform = {"resize": 64, "crop": 64, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    settings = {"weights": str(tmp_path / "tiny.safetensors"), "input": transform, "topK": 7}
    spec, source = model(project, "own", architecture="nets.tiny:make", options={"width": 16}, **settings)

    built = builder.build(project, spec, source)

    assert folder / "blocks.py" in {path for path in built.inputs if path.parent == folder}
    with zipfile.ZipFile(built.archive.path) as archive:
        own = {name for name in archive.namelist() if name.startswith("nets/")}
    assert own == {"nets/__init__.py", "nets/tiny.py", "nets/blocks.py"}
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(built.archive.path) as archive:
        archive.extractall(unpacked)
    answers = [answered_alone(unpacked, pictures[0])]
    convolved = nn.functional.conv2d(
        torch.stack([_pixels(data) for data in pictures]), values["0.weight"], values["0.bias"], stride=4
    )
    logits = 2 * (convolved.relu().mean(dim=(2, 3)) @ values["2.linear.weight"].T + values["2.linear.bias"])
    expected = [dict(zip(LABELS, row, strict=True)) for row in logits.softmax(dim=1).tolist()]
    assert_same(answers, expected[:1])

    for architecture, message in {
        "nets.tiny:deaf": r"builds the same network whatever num_classes is",
        "nets.tiny:nothing": r"made a NoneType; it must return a torch\.nn\.Module",
        "nets.tiny:missing": r"module nets\.tiny has no function 'missing'",
        "nets.huge:make": r"No module named 'nets\.huge'; it is imported from the project's folder",
    }.items():
        spec, source = model(project, "own", architecture=architecture, **settings)
        with pytest.raises(SpecError, match=message):
            builder.build(project, spec, source)


def answered_alone(folder: Path, picture: bytes) -> dict[str, float]:
    """The answer in a process that sees the unpacked archive and what is installed, nothing of the project."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ANSWER],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        input=picture,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def _pixels(data: bytes) -> torch.Tensor:
    from torchvision.transforms import functional as F  # noqa: N812

    image = F.center_crop(F.resize(Image.open(io.BytesIO(data)).convert("RGB"), [64]), [64])
    tensor: torch.Tensor = F.normalize(F.to_tensor(image), [0.5] * 3, [0.5] * 3)
    return tensor
