"""An architecture of one's own: what it imports of the project travels with it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest
import torch
from PIL import Image
from tests.archiver.test_builder import ANSWER
from tests.archiver.test_forms import LABELS, assert_same, model
from torch import nn

from visionserve.archiver import builder
from visionserve.archiver.demo import colours
from visionserve.archiver.weights import conversion
from visionserve.runtime.errors import SpecError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def pictures() -> list[bytes]:
    return [data for _, data in colours.held_out(per_class=1)][:3]


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
