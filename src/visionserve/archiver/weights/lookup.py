"""Where a model's weights come from: torchvision's entries and local files, found and verified."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torchvision

from visionserve.project import Project
from visionserve.runtime import network
from visionserve.runtime.errors import SpecError, WeightsError
from visionserve.runtime.spec import InputChanges, InputSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from visionserve.runtime.spec import HandlerSpec

# How a file named after its model may end.
SUFFIXES = (".pth", ".pt", ".safetensors", ".pth.tar", ".tar", ".bin", ".ckpt")
# torchvision's file names end in the first digits of the file's SHA-256: resnet50-11ad3fa6.pth
_DIGEST_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.[a-z.]+$")
_ENTRY_NAME = re.compile(r"(\w+_Weights\.)?[A-Z][A-Z0-9_]+")


@dataclass(frozen=True)
class Found:
    """A weights file, verified.

    Attributes:
        path: The file.
        sha256: Its whole digest, in hexadecimal.
        origin: Where it came from, for provenance: an entry's name or the file's.
        entry: The torchvision entry whose file it is, with its transform and categories; None for one's own.
        note: Which file was taken and why, when there was a choice; else empty.
    """

    path: Path
    sha256: str
    origin: str
    entry: Any = None
    note: str = ""


def entries(architecture: str) -> list[Any]:
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


def entry(spec: HandlerSpec) -> Any:
    """Torchvision's weights entry for a model: the one it names, else its architecture's default.

    The entry carries the transform and the categories that belong to the weights.

    Raises:
        SpecError: The architecture is one's own.
    """
    known = entries(spec.architecture)
    if not known:
        raise SpecError(f"{spec.architecture} is no torchvision classifier, so 'weights' must name a file")
    return _named(spec, known) or known[0]


def names_entry(spec: HandlerSpec) -> bool:
    """Whether the spec's weights are a torchvision entry rather than a file.

    Raises:
        SpecError: They look like an entry's name and are none.
    """
    known = entries(spec.architecture)
    found = _named(spec, known)
    if found is None and spec.weights and _ENTRY_NAME.fullmatch(spec.weights):
        names = ", ".join(e.name for e in known) or "none"
        raise SpecError(
            f"{spec.architecture} has no weights entry '{spec.weights}' that classifies; it has {names}"
        )
    return found is not None


def transform(spec: HandlerSpec, brought: Any = None) -> InputSpec:
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
    preset = (brought or entry(spec)).transforms()
    default = InputSpec(
        resize=preset.resize_size[0],
        crop=preset.crop_size[0],
        interpolation=preset.interpolation.value,
        antialias=bool(preset.antialias),
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )
    return dataclasses.replace(default, **changes.given())


def folders(root: Path) -> list[Path]:
    """The folders searched for weights, in order: the project's, then torch hub's cache."""
    torch_home = os.environ.get("TORCH_HOME", "~/.cache/torch")
    return [Project(root).weights, Path(torch_home).expanduser() / "hub" / "checkpoints"]


def file_name(spec: HandlerSpec) -> str:
    """The name of the weights file that the spec asks for."""
    return _file_of(entry(spec)) if names_entry(spec) else str(spec.weights)


def find(root: Path, name: str, spec: HandlerSpec, explicit: Path | None = None) -> Found:
    """Find and verify a model's weights.

    The order: the explicit path; what the spec names, as a path, in the project's `weights/`, in torch hub's
    cache; and when it names nothing, `weights/NAME.*`, then the files of torchvision's entries, default first.

    Args:
        root: The project's folder.
        name: The model's name.
        spec: The model.
        explicit: A file to take instead of what the spec says; relative to where the user stands.

    Raises:
        WeightsError: No file is there, or its digest is not the one its name or the spec states.
    """
    there = [(path, why) for path, why in _places(root, name, spec, explicit) if _is_there(path)]
    if not there:
        raise WeightsError(_how_to_get(root, name, spec, explicit))
    path, why = there[0]
    others = [str(other) for other, _ in there[1:] if other.resolve() != path.resolve()]
    note = f"{path} is taken, {why}; also there: {', '.join(others)}" if others else ""
    sha256 = verify(path, spec.sha256)
    brought = next((e for e in entries(spec.architecture) if _file_of(e) == path.name), None)
    return Found(path, sha256, str(brought or path.name), brought, note)


def are_here(root: Path, name: str, spec: HandlerSpec) -> bool:
    """Whether `find` would find a file, be it the right one or not."""
    return any(_is_there(path) for path, _ in _places(root, name, spec, None))


def is_file_of(weights_entry: Any, path: Path) -> bool:
    """Whether a path has the name under which torchvision publishes an entry's weights."""
    return _file_of(weights_entry) == path.name


def _file_of(weights_entry: Any) -> str:
    return Path(weights_entry.url).name


def digest_in_name(path: Path) -> str | None:
    """The digits of a SHA-256 that a file name such as `resnet50-11ad3fa6.pth` ends in."""
    match = _DIGEST_IN_NAME.search(path.name)
    return match.group(1) if match else None


def verify(path: Path, expected: str | None = None) -> str:
    """A file's SHA-256, after checking it against `expected` or the digits in the file's name.

    Raises:
        WeightsError: The file cannot be read, or the digest differs.
    """
    in_name = digest_in_name(path)
    sha256 = digest(path)
    if expected is not None and sha256 != expected:
        raise WeightsError(
            f"{path}: SHA-256 is {sha256}, the model's YAML says {expected}; the file is damaged or another one"
        )
    if expected is None and in_name is not None and not sha256.startswith(in_name):
        raise WeightsError(
            f"{path}: SHA-256 is {sha256}, its name says {in_name}...; it is damaged: delete it and get it again"
            " (if these digits are no digest, rename the file, or give 'sha256:' in the model's YAML)"
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
    except IsADirectoryError as error:
        raise WeightsError(f"{path}: is a directory; name the weights file inside it") from error
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error
    return sha256.hexdigest()


def _named(spec: HandlerSpec, known: Sequence[Any]) -> Any:
    if spec.weights in (None, "DEFAULT"):
        return known[0] if known else None
    return next((e for e in known if spec.weights in (e.name, str(e))), None)


def _is_there(path: Path) -> bool:
    """Whether something is at a path, be it unreadable: then reading it says why."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _places(root: Path, name: str, spec: HandlerSpec, explicit: Path | None) -> Iterator[tuple[Path, str]]:
    """Where the weights may be, best first, each with why it comes before the next."""
    if explicit is not None:
        yield explicit, "for it was named"
        return
    project, cache = folders(root)
    if spec.weights is not None:
        wanted = Path(file_name(spec))
        if not names_entry(spec):
            yield root / wanted, "for it is the path in the model's YAML"
        yield project / wanted, "for weights/ comes before torch hub's cache"
        yield cache / wanted, "from torch hub's cache"
        return
    for suffix in SUFFIXES:
        yield project / f"{name}{suffix}", "for it is named after the model"
    for known in entries(spec.architecture):
        for folder in (project, cache):
            yield folder / _file_of(known), f"for {known.name} comes first of what was found"


def _how_to_get(root: Path, name: str, spec: HandlerSpec, explicit: Path | None) -> str:
    if explicit is not None:
        return f"{explicit}: no such file"
    places = " or ".join(str(folder) for folder in folders(root))
    if not names_entry(spec):
        wanted = spec.weights or f"{name}.pth"
        return f"no weights for {name}: put {wanted} into {places}"
    return (
        f"no weights for {name}: run 'visionserve weights {name}', or put {file_name(spec)} into {places}"
        f" (from {entry(spec).url})"
    )
