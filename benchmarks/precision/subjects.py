"""The networks that are measured, each with pictures like those that it was trained on."""

from __future__ import annotations

import dataclasses
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.errors import NotRun
from benchmarks.precision import pictures
from visionserve.archiver import builder
from visionserve.archiver.demo import colours, photographs
from visionserve.archiver.demo.photographs import Network
from visionserve.archiver.models import catalog
from visionserve.archiver.models.spec import InputChanges
from visionserve.archiver.weights import lookup

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from visionserve.archiver.builder import Built

# Titles in tables, by name.
TITLES = {
    "efficientnet-lite0": "EfficientNet-Lite0, ImageNet",
    "demo-resnet18": "ResNet-18, colours",
    "demo-resnet50": "ResNet-50, colours",
    "demo-vgg16": "VGG-16, colours",
}

_CALIBRATION = 300
_CALIBRATION_SEED = 5_000_000
_COLOURS_PER_CLASS = 30
# Colours are learned as well from small pictures, and in seconds.
_SMALL_SIDE = 96


@dataclass(frozen=True)
class Subject:
    """One network.

    Attributes:
        name: Its name on the command line.
        network: Its description and weights.
        kind: What its pictures are.
        pictures: Encoded pictures to answer.
        calibration: Encoded pictures for int8, others of the same kind.
        build: Builds its archive in a project.
    """

    name: str
    network: Network
    kind: str
    pictures: Sequence[bytes]
    calibration: Sequence[bytes]
    build: Callable[[Path, Network], Built]


def make(name: str, root: Path, work: Path, count: int) -> Subject:
    """A network by its name.

    Args:
        name: One of `TITLES`.
        root: The repository.
        work: Where weights that are made in seconds are kept.
        count: How many pictures to derive from the photographs.

    Raises:
        NotRun: It, or the photographs, are not on this machine.
    """
    if name == "efficientnet-lite0":
        return _efficientnet(root, count)
    if name == "demo-resnet18":
        return _coloured(name, _small(root, work))
    network = _demo(root, name)
    if not network.weights.exists():
        raise NotRun(f"{network.weights} is not there; 'make {network.weights.relative_to(root)}' makes it")
    return _coloured(name, network)


def unpacked(archive: Path) -> Path:
    """An archive as a folder beside it."""
    folder = archive.with_suffix("")
    with zipfile.ZipFile(archive) as mar:
        mar.extractall(folder)
    return folder


def _efficientnet(root: Path, count: int) -> Subject:
    try:
        network = photographs.efficientnet(root)
    except photographs.NoPhotographs as error:
        raise NotRun(str(error)) from error
    return Subject(
        "efficientnet-lite0",
        network,
        "pictures derived from photographs",
        pictures.derived(count, seed=0),
        pictures.derived(_CALIBRATION, _CALIBRATION_SEED),
        photographs.build,
    )


def _demo(root: Path, name: str) -> Network:
    """A demo network, its weights there or not."""
    source = catalog.find(root, name)
    spec = catalog.read(source)
    return Network(source, spec, root / lookup.file_name(spec.handler))


def _small(root: Path, work: Path) -> Network:
    """A ResNet-18 like the demo's ResNet-50; its weights are made in seconds if they are not there."""
    large = _demo(root, "demo-resnet50")
    side = InputChanges(resize=_SMALL_SIDE, crop=_SMALL_SIDE)
    handler = dataclasses.replace(large.spec.handler, architecture="resnet18", input=side)
    weights = work / "demo-resnet18.pth"
    if not weights.exists():
        colours.make(handler, weights)
    return Network(large.source, dataclasses.replace(large.spec, name="demo-resnet18", handler=handler), weights)


def _coloured(name: str, network: Network) -> Subject:
    held_out = [data for _, data in colours.held_out(_COLOURS_PER_CLASS)]
    calibration = [
        colours.picture(colour, _CALIBRATION_SEED + seed)
        for seed in range(_COLOURS_PER_CLASS)
        for colour in colours.HUES
    ]
    return Subject(name, network, "held-out pictures", held_out, calibration, _build_coloured)


def _build_coloured(root: Path, network: Network) -> Built:
    return builder.build(root, network.spec, network.source, network.weights)
