"""A right engine passes the proof, and each mistake that people and tools make is refused, in every precision."""

from __future__ import annotations

import copy
import dataclasses
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torchvision

from visionserve.archiver.engines import calibration
from visionserve.runtime.engines import openvino
from visionserve.runtime.engines.eager import EagerEngine
from visionserve.runtime.errors import GoldenError
from visionserve.runtime.model import Transform
from visionserve.runtime.pictures import decode
from visionserve.runtime.proof import agreement, drawing, golden

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from torchvision.models.resnet import ResNet

    from visionserve.runtime.engines import Engine

LABELS = ("red", "orange", "yellow", "green", "cyan", "blue", "magenta")
TRANSFORM = Transform(resize=96, crop=96, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network(small_weights: Path) -> ResNet:
    """The demo's ResNet-18, trained on colours."""
    trained = torchvision.models.resnet18(num_classes=len(LABELS))
    trained.load_state_dict(torch.load(small_weights, weights_only=True))
    trained.eval()
    return trained


def eager(precision: str) -> Callable[[ResNet, Transform], Engine]:
    return lambda network, transform: EagerEngine(copy.deepcopy(network), transform, CPU, precision)


def converted(precision: str) -> Callable[[ResNet, Transform], Engine]:
    def make(network: ResNet, transform: Transform) -> Engine:
        graph = openvino.with_weights(graph_of(network, transform), network.state_dict())
        if precision == "int8":
            graph = calibration.quantise(graph, agreement.pixels(TRANSFORM))
        return openvino.OpenVinoEngine(graph, precision, 1)

    return make


def graph_of(network: ResNet, transform: Transform) -> Any:
    """Its graph, converted once for all networks of the same layers: their weights are left open in it."""
    layers = (str(network), transform)
    if layers not in GRAPHS:
        GRAPHS[layers] = openvino.convert(copy.deepcopy(network), transform)
    return GRAPHS[layers].clone()


GRAPHS: dict[tuple[str, Transform], Any] = {}
ENGINES = {
    "eager-fp32": eager("fp32"),
    "eager-bf16": eager("bf16"),
    "openvino-fp32": converted("fp32"),
    "openvino-bf16": converted("bf16"),
    "openvino-int8": converted("int8"),
}


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.slow if "int8" in name else ()) for name in ENGINES],
)
def make(request: pytest.FixtureRequest) -> Callable[[ResNet, Transform], Engine]:
    return ENGINES[request.param]


@pytest.fixture(scope="module")
def known(network: ResNet, make: Callable[[ResNet, Transform], Engine]) -> golden.Golden:
    """What the builder records: fp32's logits, and int8's own of an int8 archive."""
    engine = make(network, TRANSFORM)
    reference = engine if engine.precision == "int8" else eager("fp32")(network, TRANSFORM)
    pixels = agreement.pixels(TRANSFORM)
    rows = agreement.logits(reference, pixels).numpy()
    answers = [golden.Answer(picture.name, row) for picture, row in zip(drawing.pictures(), rows, strict=True)]
    return golden.Golden(drawing.pictures(), answers, pixels)


def without_a_block(network: ResNet) -> ResNet:
    changed = copy.deepcopy(network)
    changed.layer3[1] = torch.nn.Identity()
    return changed


def with_other_weights(network: ResNet) -> ResNet:
    torch.manual_seed(1)
    changed = torchvision.models.resnet18(num_classes=len(LABELS))
    changed.eval()
    return changed


def with_classes_exchanged(network: ResNet) -> ResNet:
    changed = copy.deepcopy(network)
    order = torch.tensor([1, 0, 2, 3, 4, 5, 6])
    changed.fc.weight.data = changed.fc.weight.data[order]
    changed.fc.bias.data = changed.fc.bias.data[order]
    return changed


def itself(network: ResNet) -> ResNet:
    return network


def test_the_right_one_passes(
    network: ResNet, make: Callable[[ResNet, Transform], Engine], known: golden.Golden
) -> None:
    agreement.check(make(network, TRANSFORM), LABELS, known)


@pytest.mark.parametrize(
    ("change", "transform"),
    [
        (without_a_block, {}),
        (with_other_weights, {}),
        (with_classes_exchanged, {}),
        (itself, {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}),
        (itself, {"mean": (0.406, 0.456, 0.485), "std": (0.225, 0.224, 0.229)}),
        (itself, {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}),
    ],
    ids=["dropped-block", "other-weights", "exchanged-classes", "half-norm", "reversed-norm", "no-norm"],
)
def test_a_wrong_network_is_refused(
    change: Callable[[ResNet], ResNet],
    transform: dict[str, Any],
    network: ResNet,
    make: Callable[[ResNet, Transform], Engine],
    known: golden.Golden,
) -> None:
    wrong = make(change(network), dataclasses.replace(TRANSFORM, **transform))
    with pytest.raises(GoldenError, match="its logits are"):
        agreement.check(wrong, LABELS, known)


class Guessing:
    """An engine that answers each picture by chance."""

    name, one_by_one = "guessing", False

    def __init__(self, precision: str) -> None:
        self.precision, self.chance = precision, torch.Generator().manual_seed(0)

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.randn(len(pixels), len(LABELS), generator=self.chance)


def test_random_logits_are_refused(known: golden.Golden) -> None:
    for precision in ("fp32", "bf16", "int8"):
        with pytest.raises(GoldenError):
            agreement.check(Guessing(precision), LABELS, known)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        {"interpolation": "bicubic"},
        {"interpolation": "nearest"},
        {"resize": 110},
        {"resize": 100, "crop": 96},
    ],
    ids=["bicubic", "nearest", "larger-resize", "a-little-larger"],
)
def test_another_transform_is_refused(change: dict[str, Any], exact: bool, known: golden.Golden) -> None:
    def prepare(data: bytes, transform: Transform = TRANSFORM) -> np.ndarray:
        return decode.prepare(data, 1 << 24, transform, exact=exact)[0]

    agreement.check_decoding(prepare, TRANSFORM, known)
    wrong = dataclasses.replace(TRANSFORM, **change)
    with pytest.raises(GoldenError, match="its pixels stray"):
        agreement.check_decoding(lambda data: prepare(data, wrong), wrong, known)


def test_swapped_colours_are_refused(known: golden.Golden) -> None:
    def reversed_colours(data: bytes) -> np.ndarray:
        return decode.prepare(data, 1 << 24, TRANSFORM, exact=True)[0][:, :, ::-1]

    with pytest.raises(GoldenError, match="its pixels stray"):
        agreement.check_decoding(reversed_colours, TRANSFORM, known)
