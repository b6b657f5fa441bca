"""A project whose network is right about seven colours, and pictures of them in one folder per colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from tests.support import quick

from visionserve.archiver import builder
from visionserve.archiver.demo import colours
from visionserve.archiver.models import catalog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from visionserve.archiver.builder import Built

    Weights = dict[str, torch.Tensor]
    Build = Callable[..., Built]

SIDE = 96
_YAML = """\
handler:
  architecture: resnet18
  engine: {engine}
  precision: {precision}
  weights: weights/{name}.pth
  labels: {labels}
  input: {{resize: {side}, crop: {side}}}
{more}"""


@pytest.fixture(scope="module")
def weights(small_weights: Path) -> Weights:
    """Of a ResNet-18 that was trained with ImageNet's mean and std."""
    found: Weights = torch.load(small_weights, weights_only=True)
    return found


@pytest.fixture(scope="module")
def checked_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project without weights."""
    return quick.project(tmp_path_factory.mktemp("checked"))


@pytest.fixture(scope="module")
def pictures(checked_project: Path) -> Path:
    """Seven of each colour that the network never saw."""
    folder = checked_project / "pictures"
    for colour in colours.HUES:
        (folder / colour).mkdir(parents=True)
        for seed in range(7):
            (folder / colour / f"{seed:02}.jpg").write_bytes(colours.picture(colour, 2_000_000 + seed))
    return folder


@pytest.fixture(scope="module")
def build(checked_project: Path, pictures: Path) -> Build:
    """Builds the archive of some weights, checked on the pictures unless `more` says otherwise."""

    def run(
        name: str,
        state_dict: Weights,
        labels: str = "models/demo/colours.txt",
        more: str = "  check: pictures\n",
        engine: str = "eager",
        precision: str = "fp32",
    ) -> Built:
        torch.save(state_dict, checked_project / "weights" / f"{name}.pth")
        source = checked_project / "models" / f"{name}.yaml"
        source.write_text(
            _YAML.format(name=name, labels=labels, side=SIDE, more=more, engine=engine, precision=precision)
        )
        return builder.build(checked_project, catalog.read(source), source)

    return run
