"""How far right engines are from fp32: `pytest -m manual -s` prints what `golden.TOLERANCE` stands on."""

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
from visionserve.runtime.proof import agreement, golden

if TYPE_CHECKING:
    from torch import nn

pytestmark = pytest.mark.manual

CPU = torch.device("cpu")
TRANSFORM = Transform(resize=232, crop=224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
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
)


def alive(name: str) -> nn.Module:
    """A network of random weights whose batch norms have seen the golden pictures, so that pictures count."""
    torch.manual_seed(0)
    network: nn.Module = torchvision.models.get_model(name, num_classes=100).eval()
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    pictures = torch.from_numpy(np.stack(agreement.pixels(TRANSFORM))).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in (TRANSFORM.mean, TRANSFORM.std))
    for norm in norms:
        norm.momentum = None
        norm.train()
    if norms:
        with torch.no_grad():
            network((pictures - mean) / std)
    return network.eval()


@pytest.mark.parametrize("name", NAMES)
def test_a_right_engine_is_far_within_what_is_allowed(name: str) -> None:
    network, pixels = alive(name), agreement.pixels(TRANSFORM)
    right = agreement.logits(EagerEngine(copy.deepcopy(network), TRANSFORM, CPU), pixels).numpy()
    graph = openvino.with_weights(openvino.convert(copy.deepcopy(network), TRANSFORM), network.state_dict())
    for precision in ("fp32", "bf16"):
        got = agreement.logits(openvino.OpenVinoEngine(graph, precision, 1), pixels).numpy()
        strays = max(map(golden.error, got, right))
        print(f"\n{name} openvino {precision}: {strays:.2g}", end="")  # noqa: T201
        assert strays < golden.TOLERANCE[precision] / 2
