"""Where an archive's weights came from, and what built it, where, and by which command."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import torch

import visionserve
from visionserve.archiver import revision

if TYPE_CHECKING:
    from collections.abc import Mapping

    from visionserve.archiver.checking.check import Checked
    from visionserve.archiver.engines.artefacts import Artefacts
    from visionserve.archiver.weights.checkpoints import Checkpoint
    from visionserve.archiver.weights.lookup import Found

# Where the provenance says from what an archive was built, by topic; see `fingerprint`.
BUILT_FROM = "built_from"

# What has a say in what an archive holds or answers.
LIBRARIES = ("torch", "torchvision", "pillow", "numpy", "openvino", "nncf", "ncnn", "pnnx")


def facts(
    project: Path,
    found: Found,
    checkpoint: Checkpoint,
    device: torch.device,
    made: Artefacts,
    checked: Checked | None,
    built_from: Mapping[str, str],
) -> dict[str, object]:
    """What `provenance.json` tells.

    Args:
        project: The project's folder.
        found: The weights file.
        checkpoint: What it holds.
        device: Where the golden answers were computed.
        made: What was made for the engines.
        checked: How often it is right about the user's pictures, if there were any.
        built_from: The digest of everything that decides what is built, by topic; may be empty.
    """
    commit = revision.of(project)
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
        "device": device.type,
        "tf32": torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32,
        **({"commit": commit} if commit else {}),
        "command": command(),
        "versions": versions(),
    }


def command() -> str:
    """What this process was started with: the program's name and its arguments."""
    program = Path(sys.argv[0])
    name = program.parent.name if program.name == "__main__.py" else program.name
    return shlex.join([name or "python", *sys.argv[1:]])


def versions() -> dict[str, str]:
    """The version of Python, of visionserve and of each library that is here."""
    found = {"python": ".".join(map(str, sys.version_info[:3])), "visionserve": visionserve.__version__}
    for library in LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found
