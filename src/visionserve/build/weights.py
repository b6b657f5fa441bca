"""Where a model's weights come from: torchvision's entries and local files, found and verified."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torchvision

from visionserve.runtime.errors import SpecError, WeightsError
from visionserve.runtime.spec import InputSpec

if TYPE_CHECKING:
    from visionserve.runtime.spec import HandlerSpec

FOLDER = "weights"

# torchvision's file names end in the first digits of the file's SHA-256: resnet50-11ad3fa6.pth
_DIGEST_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.[a-z]+$")


@dataclass(frozen=True)
class Found:
    """A weights file, verified.

    Attributes:
        path: The file.
        sha256: Its whole digest, in hexadecimal.
        origin: Where it came from, for provenance: an entry's name or the file's.
    """

    path: Path
    sha256: str
    origin: str


def entry(spec: HandlerSpec) -> Any:
    """Torchvision's weights entry for a model: the one it names, else its architecture's default.

    The entry carries the transform and the categories that belong to the weights.

    Raises:
        SpecError: torchvision has no classifier of that name.
    """
    if spec.architecture not in torchvision.models.list_models(module=torchvision.models):
        names = ", ".join(torchvision.models.list_models(module=torchvision.models))
        raise SpecError(f"torchvision has no classifier '{spec.architecture}'; it has {names}")
    entries = torchvision.models.get_model_weights(spec.architecture)
    return entries[spec.weights] if spec.weights in entries.__members__ else entries.DEFAULT


def names_entry(spec: HandlerSpec) -> bool:
    """Whether the spec's weights are a torchvision entry rather than a file."""
    return spec.weights is None or spec.weights in type(entry(spec)).__members__


def transform(spec: HandlerSpec) -> InputSpec:
    """The spec's own input transform, or the one that torchvision's entry brings."""
    if spec.input is not None:
        return spec.input
    preset = entry(spec).transforms()
    return InputSpec(
        resize=preset.resize_size[0],
        crop=preset.crop_size[0],
        interpolation=preset.interpolation.value,
        antialias=bool(preset.antialias),
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )


def folders(root: Path) -> list[Path]:
    """The folders searched for weights, in order: the project's, then torch hub's cache."""
    torch_home = os.environ.get("TORCH_HOME", "~/.cache/torch")
    return [root / FOLDER, Path(torch_home).expanduser() / "hub" / "checkpoints"]


def file_name(spec: HandlerSpec) -> str:
    """The name of the weights file that the spec asks for."""
    return Path(entry(spec).url).name if names_entry(spec) else str(spec.weights)


def find(root: Path, name: str, spec: HandlerSpec, explicit: Path | None = None) -> Found:
    """Find and verify a model's weights: an explicit path, then the project's `weights/`, then torch hub's cache.

    Args:
        root: The project's folder.
        name: The model's name, for messages.
        spec: The model.
        explicit: A file to take instead of what the spec says.

    Raises:
        WeightsError: No file is there, or its digest is not the one its name or the spec states.
    """
    wanted = explicit or Path(file_name(spec))
    places = [wanted if wanted.is_absolute() else root / wanted]
    if explicit is None:
        places += [folder / wanted for folder in folders(root)]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise WeightsError(_how_to_get(root, name, spec, wanted, explicit))
    sha256 = verify(path, spec.sha256)
    from_entry = explicit is None and names_entry(spec)
    return Found(path, sha256, str(entry(spec)) if from_entry else path.name)


def digest_in_name(path: Path) -> str | None:
    """The digits of a SHA-256 that a file name such as `resnet50-11ad3fa6.pth` ends in."""
    match = _DIGEST_IN_NAME.search(path.name)
    return match.group(1) if match else None


def verify(path: Path, expected: str | None = None) -> str:
    """A file's SHA-256, after checking it against `expected` or the digits in the file's name.

    Raises:
        WeightsError: The file cannot be read, or the digest differs.
    """
    wanted = expected or digest_in_name(path) or ""
    sha256 = digest(path)
    if not sha256.startswith(wanted):
        raise WeightsError(
            f"{path}: SHA-256 is {sha256}, expected {wanted}{'' if expected else '...'}"
            "; the file is damaged or another one: delete it and get it again"
        )
    return sha256


def digest(path: Path) -> str:
    """A file's SHA-256 in hexadecimal.

    Raises:
        WeightsError: The file cannot be read.
    """
    sha256 = hashlib.sha256()
    buffer = memoryview(bytearray(1 << 20))
    try:
        with path.open("rb") as file:
            while count := file.readinto(buffer):
                sha256.update(buffer[:count])
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error
    return sha256.hexdigest()


def _how_to_get(root: Path, name: str, spec: HandlerSpec, wanted: Path, explicit: Path | None) -> str:
    if explicit is not None:
        return f"{explicit}: no such file"
    places = " or ".join(str(folder) for folder in folders(root))
    if not names_entry(spec):
        return f"no weights for {name}: put {wanted} into {places}"
    return (
        f"no weights for {name}: run 'make weights MODEL={name}', or put {wanted} into {places}"
        f" (from {entry(spec).url})"
    )
