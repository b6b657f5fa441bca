"""What an archive carries for ncnn."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
import torchvision
from torch import nn

from visionserve.archiver.engines import ncnn_graph
from visionserve.runtime.engines import graph_weights, ncnn
from visionserve.runtime.errors import EngineError
from visionserve.runtime.model import Transform
from visionserve.runtime.proof import golden

if TYPE_CHECKING:
    from collections.abc import Callable

TRANSFORM = Transform(resize=64, crop=64, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))


def fresh(architecture: str, **options: object) -> nn.Module:
    """A random network whose batch norms say something."""
    torch.manual_seed(0)
    network: nn.Module = torchvision.models.get_model(architecture, num_classes=5, **options).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    return network


# Batch norms behind convolutions, before them, none; attention; norms of layers; separable convolutions.
@pytest.mark.parametrize(
    "make",
    [
        lambda: fresh("resnet18"),
        lambda: fresh("mobilenet_v3_small"),
        lambda: fresh("squeezenet1_1"),
        lambda: fresh("convnext_tiny"),
        lambda: fresh("vit_b_16", image_size=64),
    ],
    ids=["resnet18", "mobilenet_v3_small", "squeezenet1_1", "convnext_tiny", "vit_b_16"],
)
def test_the_graph_is_the_network(make: Callable[[], nn.Module]) -> None:
    network = make()
    pixels = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    floats = torchvision.transforms.functional.normalize(
        pixels.permute(0, 3, 1, 2) / 255, list(TRANSFORM.mean), list(TRANSFORM.std)
    )
    with torch.inference_mode():
        right = network(floats).numpy()
    state_dict = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    made = ncnn_graph.members(network, TRANSFORM)
    parts, constants = json.loads(made[ncnn.WEIGHTS_FILE]), made.get(ncnn.CONSTANTS_FILE, b"")
    weights = graph_weights.arrays(parts, state_dict, constants)
    engine = ncnn.NcnnEngine(ncnn.net(made[ncnn.GRAPH_FILE].decode(), weights, 1), TRANSFORM)
    logits = engine.logits(pixels).numpy()
    assert max(golden.error(row, one) for row, one in zip(logits, right, strict=True)) < 1e-4
    size = sum(tensor.numel() * tensor.element_size() for tensor in state_dict.values())
    assert len(constants) < size / 20


def test_the_same_network_gives_the_same_bytes() -> None:
    assert ncnn_graph.members(fresh("squeezenet1_1"), TRANSFORM) == ncnn_graph.members(
        fresh("squeezenet1_1"), TRANSFORM
    )


def test_weights_that_are_computed_travel_as_constants() -> None:
    torch.manual_seed(0)
    convolution = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 32, 3))
    pooled = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 5)
    network = nn.Sequential(convolution, nn.BatchNorm2d(32), nn.Conv2d(32, 32, 3), *pooled).eval()
    state_dict = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    made = ncnn_graph.members(network, TRANSFORM)
    assert made[ncnn.CONSTANTS_FILE]
    parts = json.loads(made[ncnn.WEIGHTS_FILE])
    assert ["tensor", "2.weight"] in parts
    assert len(list(graph_weights.arrays(parts, state_dict, made[ncnn.CONSTANTS_FILE]))) == len(parts)


class Odd(nn.Module):
    """A network that ncnn has no layers for."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 5)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        spectrum: torch.Tensor = self.head(torch.linalg.svdvals(pictures)[..., :1].flatten(1))
        return spectrum


def test_a_network_that_it_cannot_take_is_one_line() -> None:
    with pytest.raises(EngineError) as caught:
        ncnn_graph.members(Odd().eval(), TRANSFORM)
    assert "ncnn" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_its_converter_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ncnn, "is_installed", lambda: False)
    with pytest.raises(EngineError, match="pip install ncnn pnnx"):
        ncnn_graph.members(Odd().eval(), TRANSFORM)
