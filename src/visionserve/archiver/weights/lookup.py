"""Where a model's weights are found: the order of the places, and the file that is taken."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionserve.archiver.weights import digests, entries
from visionserve.project import Project
from visionserve.runtime.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from visionserve.archiver.models.spec import HandlerSpec

# How a file named after its model may end.
SUFFIXES = (".pth", ".pt", ".safetensors", ".pth.tar", ".tar", ".bin", ".ckpt")


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


def folders(root: Path) -> list[Path]:
    """The folders searched for weights, in order: the project's, then torch hub's cache."""
    torch_home = os.environ.get("TORCH_HOME", "~/.cache/torch")
    return [Project(root).weights, Path(torch_home).expanduser() / "hub" / "checkpoints"]


def file_name(spec: HandlerSpec) -> str:
    """The name of the weights file that the spec asks for."""
    return entries.file_name(entries.of(spec)) if entries.names_one(spec) else str(spec.weights)


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
    real = os.path.realpath(path)  # unlike Path.resolve, it takes links that go in a circle
    others = [str(other) for other, _ in there[1:] if os.path.realpath(other) != real]
    note = f"{path} is taken, {why}; also there: {', '.join(others)}" if others else ""
    sha256 = digests.verify(path, spec.sha256)
    brought = next((e for e in entries.classifying(spec.architecture) if entries.file_name(e) == path.name), None)
    return Found(path, sha256, str(brought or path.name), brought, note)


def are_here(root: Path, name: str, spec: HandlerSpec) -> bool:
    """Whether `find` would find a file, even one that it would refuse."""
    return any(_is_there(path) for path, _ in _places(root, name, spec, None))


def _is_there(path: Path) -> bool:
    """Whether a file is at a path; one that cannot be looked at counts, so that reading it later says why."""
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
        if not entries.names_one(spec):
            yield root / wanted, "for it is the path in the model's YAML"
        yield project / wanted, "for weights/ comes before torch hub's cache"
        yield cache / wanted, "from torch hub's cache"
        return
    for suffix in SUFFIXES:
        yield project / f"{name}{suffix}", "for it is named after the model"
    for known in entries.classifying(spec.architecture):
        for folder in (project, cache):
            yield folder / entries.file_name(known), f"for {known.name} comes first of what was found"


def _how_to_get(root: Path, name: str, spec: HandlerSpec, explicit: Path | None) -> str:
    if explicit is not None:
        return f"{explicit}: no such file"
    places = " or ".join(str(folder) for folder in folders(root))
    if not entries.names_one(spec):
        wanted = spec.weights or f"{name}.pth"
        return f"no weights for {name}: put {wanted} into {places}"
    return (
        f"no weights for {name}: run 'visionserve weights {name}', or put {file_name(spec)} into {places}"
        f" (from {entries.of(spec).url})"
    )
