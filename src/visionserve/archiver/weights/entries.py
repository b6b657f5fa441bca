"""Torchvision's published weights: which there are, which a model names, and the transform they bring."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torchvision

from visionserve.archiver.models.spec import InputChanges
from visionserve.runtime import network
from visionserve.runtime.errors import SpecError
from visionserve.runtime.model import Transform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from visionserve.archiver.models.spec import HandlerSpec

_NAME = re.compile(r"(\w+_Weights\.)?[A-Z][A-Z0-9_]+")


def classifying(architecture: str) -> list[Any]:
    """Torchvision's weights for an architecture that classify, the default first; none for one's own function.

    Raises:
        SpecError: torchvision has no classifier of that name.
    """
    if network.is_custom(architecture):
        return []
    if architecture not in network.names():
        raise SpecError(f"torchvision has no classifier '{architecture}'; it has {', '.join(network.names())}")
    all_entries = torchvision.models.get_model_weights(architecture)
    return sorted(
        (entry for entry in all_entries if entry.meta["categories"]),
        key=lambda entry: entry != all_entries.DEFAULT,
    )


def of(spec: HandlerSpec) -> Any:
    """Torchvision's weights entry for a model: the one it names, else its architecture's default.

    The entry carries the transform and the categories that belong to the weights.

    Raises:
        SpecError: The architecture is one's own.
    """
    known = classifying(spec.architecture)
    if not known:
        raise SpecError(f"{spec.architecture} is no torchvision classifier, so 'weights' must name a file")
    return _named(spec, known) or known[0]


def names_one(spec: HandlerSpec) -> bool:
    """Whether the spec's weights are a torchvision entry rather than a file.

    Raises:
        SpecError: They look like an entry's name and are none.
    """
    known = classifying(spec.architecture)
    found = _named(spec, known)
    if found is None and spec.weights and _NAME.fullmatch(spec.weights):
        names = ", ".join(e.name for e in known) or "none"
        raise SpecError(
            f"{spec.architecture} has no weights entry '{spec.weights}' that classifies; it has {names}"
        )
    return found is not None


def transform(spec: HandlerSpec, brought: Any = None) -> Transform:
    """The transform that weights bring, with what the spec changes in it.

    Args:
        spec: The model.
        brought: The torchvision entry of the weights; without it the one the spec names or the default.

    Raises:
        SpecError: The architecture is one's own and the spec leaves a part of the transform open.
    """
    changes = spec.input or InputChanges()
    if network.is_custom(spec.architecture):
        return changes.complete()
    preset = (brought or of(spec)).transforms()
    default = Transform(
        resize=preset.resize_size[0],
        crop=preset.crop_size[0],
        interpolation=preset.interpolation.value,
        antialias=bool(preset.antialias),
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )
    return dataclasses.replace(default, **changes.given())


def file_name(entry: Any) -> str:
    """The name of the file that torchvision publishes for an entry, such as `resnet50-11ad3fa6.pth`."""
    return Path(entry.url).name


def _named(spec: HandlerSpec, known: Sequence[Any]) -> Any:
    if spec.weights in (None, "DEFAULT"):
        return known[0] if known else None
    return next((e for e in known if spec.weights in (e.name, str(e))), None)
