"""Multiplications are counted as the papers count them."""

from __future__ import annotations

import pytest
import torchvision
from torch import nn

from visionserve.archiver.engines import multiplications


@pytest.mark.parametrize(
    # https://docs.pytorch.org/vision/stable/models.html has the totals as GFLOPS.
    ("architecture", "billions", "share"),
    [("resnet18", 1.81, 0.83), ("mobilenet_v3_small", 0.06, 0.0), ("vit_b_32", 4.41, 0.0)],
)
def test_networks_are_as_large_as_torchvision_says(architecture: str, billions: float, share: float) -> None:
    network = torchvision.models.get_model(architecture).eval()
    counted = multiplications.count(network, 224)
    assert counted.total / 1e9 == pytest.approx(billions, abs=0.01)
    assert counted.share == pytest.approx(share, abs=0.01)


def test_only_3x3_convolutions_that_touch_every_pixel_and_channel_count() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.Conv2d(8, 8, 3, padding=1, groups=2),
        nn.Conv2d(8, 8, 3, padding=2, dilation=2),
        nn.Conv2d(8, 8, 5, padding=2),
        nn.Conv2d(8, 8, 3, padding=1, stride=2),
        nn.Flatten(),
        nn.Linear(8 * 5 * 5, 4),
    ).eval()
    counted = multiplications.count(network, 10)
    first = 10 * 10 * 8 * 3 * 9
    assert counted.winograd == first
    others = 10 * 10 * 8 * (4 * 9 + 8 * 9 + 8 * 25) + 5 * 5 * 8 * 8 * 9 + 8 * 5 * 5 * 4
    assert counted.total == first + others


def test_a_network_that_multiplies_nothing_has_no_share() -> None:
    assert multiplications.count(nn.Sequential(nn.Flatten()), 2).share == 0
