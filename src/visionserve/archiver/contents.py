"""What an archive carries beside its weights and its engines' files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

    from visionserve.project import Project
    from visionserve.runtime.proof.golden import Answer


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


def _json(document: Sequence[object] | Mapping[str, object]) -> bytes:
    return json.dumps(document, indent=1, ensure_ascii=False).encode()
