"""What a model takes and gives, in the words of the Open Inference Protocol."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from visionserve.runtime.wire.open_inference import OUTPUTS, PACKED

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def write(folder: Path, versions: Mapping[str, str]) -> dict[str, Path]:
    """Write a file for each model, and say under which names an edge is to show it: `MODEL` and `MODEL/VERSION`.

    Args:
        folder: Where to.
        versions: The version of each model, by the model's name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shown = names(folder, versions)
    for name, version in versions.items():
        shown[name].write_text(json.dumps(describe(name, version), separators=(",", ":")), encoding="utf-8")
    return shown


def names(folder: Path, versions: Mapping[str, str]) -> dict[str, Path]:
    """The names under which an edge shows each model, and the file that is to be there."""
    files: dict[str, Path] = {}
    for name, version in versions.items():
        path = folder / f"{name}.json"
        files |= {name: path, f"{name}/{version}": path}
    return files


def describe(name: str, version: str) -> dict[str, Any]:
    """A model's metadata: encoded pictures in (tensors of pixels are taken too), the most probable classes out."""
    return {
        "name": name,
        "versions": [version],
        "platform": "visionserve",
        "inputs": [{"name": "image", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [{"name": output, "datatype": PACKED[output], "shape": [-1, -1]} for output in OUTPUTS],
    }
