"""A network small enough to be asked thousands of times: random, yet its answers differ with the picture."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torchvision
from PIL import Image
from torchvision.transforms import functional as F  # noqa: N812
from torchvision.transforms.functional import InterpolationMode

from visionserve.archiver import builder
from visionserve.archiver.demo import colours
from visionserve.archiver.models import catalog

if TYPE_CHECKING:
    from visionserve.archiver.builder import Built

SIZE = 64
LABELS = tuple(colours.HUES)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

_YAML = """\
minWorkers: {workers}
maxWorkers: {workers}
batchSize: 8
maxBatchDelay: 1
responseTimeout: 120
startupTimeout: 300
handler:
  architecture: {architecture}
  engine: {engine}
  precision: {precision}
  weights: weights/{weights}
  labels: models/demo/colours.txt
  maxPixels: {max_pixels}
  maxImages: 4
  input: {{resize: {size}, crop: {size}, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}}
{more}"""


def make(target: Path, architecture: str = "resnet18", size: int = SIZE) -> None:
    """Weights of a residual network whose batch norms have seen pictures, so that pictures make a difference."""
    torch.manual_seed(0)
    network = torchvision.models.get_model(architecture, num_classes=len(LABELS))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        network.fc.weight.mul_(10)
        network.train()(torch.stack([tensor(decoded(colours.picture(colour, 0)), size) for colour in LABELS]))
    torch.save(network.state_dict(), target)


def project(root: Path) -> Path:
    """An empty folder made a project's."""
    repository = Path(__file__).parents[2]
    (root / "handlers").symlink_to(repository / "handlers")
    (root / "weights").mkdir()
    (root / "models" / "demo").mkdir(parents=True)
    shutil.copy(repository / "models" / "demo" / "colours.txt", root / "models" / "demo")
    return root


def build(
    project: Path,
    name: str,
    max_pixels: int = 1_000_000,
    *,
    engine: str = "eager",
    precision: str = "fp32",
    workers: int = 2,
    more: str = "",
    architecture: str = "resnet18",
    size: int = SIZE,
) -> Built:
    """The model's archive in a project's folder; `more` are further lines of its YAML's handler."""
    weights = project / "weights" / ("quick.pth" if size == SIZE else f"{architecture}.pth")
    if not weights.exists():
        make(weights, architecture, size)
    source = project / "models" / "demo" / f"{name}.yaml"
    settings = {"max_pixels": max_pixels, "engine": engine, "precision": precision, "workers": workers}
    network = {"architecture": architecture, "weights": weights.name, "size": size}
    source.write_text(_YAML.format(more=more, **network, **settings))
    return builder.build(project, catalog.read(source), source)


class Offline:
    """The same network run by torch alone, with torchvision's transform and Pillow's decoding."""

    def __init__(self, project: Path) -> None:
        self._network = torchvision.models.resnet18(num_classes=len(LABELS))
        self._network.load_state_dict(torch.load(project / "weights" / "quick.pth", weights_only=True))
        self._network.eval()

    def __call__(self, picture: bytes | Image.Image) -> dict[str, float]:
        """Label to probability, most probable first."""
        image = picture if isinstance(picture, Image.Image) else decoded(picture)
        with torch.inference_mode():
            probabilities = self._network(tensor(image)[None]).softmax(dim=1)[0].tolist()
        return dict(sorted(zip(LABELS, probabilities, strict=True), key=lambda pair: -pair[1]))


def decoded(picture: bytes) -> Image.Image:
    return Image.open(io.BytesIO(picture)).convert("RGB")


def tensor(image: Image.Image, size: int = SIZE) -> torch.Tensor:
    resized = F.resize(image, [size], InterpolationMode.BILINEAR, antialias=True)
    normalised: torch.Tensor = F.normalize(F.to_tensor(F.center_crop(resized, [size])), list(MEAN), list(STD))
    return normalised
