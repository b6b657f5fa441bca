"""How far right engines are from fp32; `pytest -m manual -s` prints what `bounds` and `LONE` stand on."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
import torchvision

from visionserve.runtime.engines import openvino
from visionserve.runtime.engines.eager import EagerEngine
from visionserve.runtime.model import Transform
from visionserve.runtime.proof import agreement, bounds, deviation, golden

if TYPE_CHECKING:
    from torch import nn

pytestmark = pytest.mark.manual

CPU = torch.device("cpu")
TRANSFORM = Transform(resize=232, crop=224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
LABELS = [str(index) for index in range(1000)]
NAMES = (
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "resnet18",
    "resnet50",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "swin_t",
    "vgg11_bn",
    "vgg16",
    "vit_b_16",
)


def alive(name: str) -> nn.Module:
    """A network of random weights that tells pictures apart: its batch norms have seen the golden ones."""
    torch.manual_seed(0)
    network: nn.Module = torchvision.models.get_model(name, num_classes=len(LABELS)).eval()
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    pictures = torch.from_numpy(np.stack(agreement.pixels(TRANSFORM))).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in (TRANSFORM.mean, TRANSFORM.std))
    for norm in norms:
        norm.momentum = None
        norm.train()
    if norms:
        with torch.no_grad():
            network((pictures - mean) / std)
    for module in network.modules():
        if isinstance(module, torch.nn.Linear) and not module.weight.any():
            torch.nn.init.normal_(module.weight)  # a vision transformer's head is all 0 before it is trained
    return network.eval()


@pytest.mark.parametrize("name", NAMES)
def test_a_right_engine_is_far_within_what_is_allowed(name: str) -> None:
    network, pixels = alive(name), agreement.pixels(TRANSFORM)
    right = agreement.logits(EagerEngine(copy.deepcopy(network), TRANSFORM, CPU), pixels).numpy()
    graph = openvino.with_weights(openvino.convert(copy.deepcopy(network), TRANSFORM), network.state_dict())
    for engine in (
        openvino.OpenVinoEngine(graph, "fp32", 1),
        openvino.OpenVinoEngine(graph, "bf16", 1),
        EagerEngine(copy.deepcopy(network), TRANSFORM, CPU, "bf16"),
    ):
        allowed = bounds.of(engine.precision)
        for batch in range(1, 9):
            chosen = np.arange(max(batch, len(pixels))) % len(pixels)
            pictures = torch.from_numpy(np.stack(pixels))[chosen]
            got = torch.cat([engine.logits(part) for part in torch.split(pictures, batch)]).numpy()
            picture = max(map(golden.error, got, right[chosen]))
            strays = deviation.of_classes(got, right[chosen])
            lone = strays.max() / np.median(strays)
            if batch in (1, 8):
                what = f"{name} {engine.name} {engine.precision}, batch {batch}"
                print(f"\n{what}: {picture:.2g}, {strays.max():.2g}, {lone:.1f}", end="")  # noqa: T201
            deviation.verify(got, right[chosen], LABELS, allowed)
            assert picture < allowed.picture / 2
            assert strays.max() <= allowed.of_class / 2
