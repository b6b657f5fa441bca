"""What an archive carries beside its weights and its engines' files."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import PIL
import torch
import torchvision
import yaml
from PIL import Image

import visionserve
from visionserve.archiver import mar
from visionserve.archiver.networks import sources
from visionserve.runtime import network
from visionserve.runtime.archive import (
    CONFIG_FILE,
    GOLDEN_FILE,
    LABELS_FILE,
    PROVENANCE_FILE,
    picture_file,
    pixels_file,
)
from visionserve.runtime.proof import drawing, golden

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from visionserve.archiver.artefacts import Artefacts
    from visionserve.archiver.checking.check import Checked
    from visionserve.archiver.weights.checkpoints import Checkpoint
    from visionserve.archiver.weights.lookup import Found
    from visionserve.project import Project
    from visionserve.runtime.proof.golden import Answer

# Where the provenance says from what an archive was built, by topic; see `fingerprint`.
BUILT_FROM = "built_from"


def files(project: Project, architecture: str) -> dict[str, Path]:
    """Member name to file of all code that travels: the handler, the runtime, an architecture of one's own.

    Args:
        project: The project, whose handler is taken.
        architecture: A torchvision classifier or one's own, already imported.
    """
    own = sources.files(project.root, architecture) if network.is_custom(architecture) else {}
    return {**own, **runtime_files(), mar.HANDLER_FILE: project.handler}


def runtime_files() -> dict[str, Path]:
    """The member name and file of everything the handler imports: `visionserve/__init__.py` and the runtime."""
    package = Path(visionserve.__file__).parent
    paths = [package / "__init__.py", *sorted((package / "runtime").rglob("*.py"))]
    return {str(Path("visionserve") / path.relative_to(package)): path for path in paths}


def documents(
    config: Mapping[str, Any],
    labels: Sequence[str],
    answers: Sequence[Answer],
    facts: Mapping[str, object],
) -> dict[str, bytes]:
    """The members that the server and the worker read.

    Args:
        config: TorchServe's settings and ours, with nothing left open.
        labels: One distinct label per class.
        answers: The answers to the golden pictures.
        facts: The provenance.
    """
    return {
        # In its own order, which is that of the description a worker gives.
        CONFIG_FILE: yaml.safe_dump(dict(config), sort_keys=False).encode(),
        LABELS_FILE: _json(labels),
        GOLDEN_FILE: _json(golden.to_json(labels, answers)),
        PROVENANCE_FILE: _json(facts),
    }


def golden_pictures(pixels: Sequence[npt.NDArray[np.uint8]]) -> dict[str, bytes]:
    """The pictures that the archive is proven on, and what its transform makes of them.

    Args:
        pixels: uint8 `[crop, crop, 3]` of each of `drawing.pictures()`.
    """
    members = {}
    for picture, made in zip(drawing.pictures(), pixels, strict=True):
        members[picture_file(picture.name)] = picture.data
        members[pixels_file(picture.name)] = drawing.encode(Image.fromarray(made), "PNG")
    return members


def provenance(
    found: Found,
    checkpoint: Checkpoint,
    device: torch.device,
    made: Artefacts,
    checked: Checked | None,
    built_from: Mapping[str, str],
) -> dict[str, object]:
    """Where the weights came from, and what built the archive.

    Args:
        found: The weights file.
        checkpoint: What it holds.
        device: Where the golden answers were computed.
        made: What was made for the engines.
        checked: How often it is right about the user's pictures, if there were any.
        built_from: The digest of everything that decides what is built, by topic; may be empty.
    """
    return {
        **({BUILT_FROM: dict(built_from)} if built_from else {}),
        **({"int8": dataclasses.asdict(made.int8.report)} if made.int8 else {}),
        **({"check": checked.to_json()} if checked else {}),
        "weights": {
            "origin": found.origin,
            "file": found.path.name,
            "sha256": found.sha256,
            "format": checkpoint.format,
            "key": checkpoint.key,
            "prefix": checkpoint.prefix,
            "dtypes": checkpoint.dtypes,
            "unpickled": checkpoint.trusted,
        },
        # TF32 rounds as bf16 does; the reference is without it.
        "device": device.type,
        "tf32": False,
        "versions": {module.__name__: module.__version__ for module in (visionserve, torch, torchvision, PIL)},
    }


def _json(document: Sequence[object] | Mapping[str, object]) -> bytes:
    return json.dumps(document, indent=1, ensure_ascii=False).encode()
