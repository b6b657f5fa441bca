"""A model's YAML and weights to a proven archive.

spec -> weights found and verified -> network on the device, in eval mode -> golden answers -> archive
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import PIL
import torch
import torchvision
import yaml

import visionserve
from visionserve.build import archive, checkpoints, labels, weights
from visionserve.runtime import golden, network
from visionserve.runtime.archive import CONFIG_FILE, GOLDEN_FILE, LABELS_FILE, PROVENANCE_FILE
from visionserve.runtime.classifier import Classifier
from visionserve.runtime.errors import LabelsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from visionserve.build.weights import Found
    from visionserve.runtime.spec import HandlerSpec, ModelSpec

STORE = "model_store"
HANDLER = Path("handlers") / "image_classifier.py"


@dataclass(frozen=True)
class Packaged:
    """What was built.

    Attributes:
        archive: The file, its size and digest.
        inputs: Every file it was built from.
        device: Where the golden answers were computed.
        golden: The name of the first golden picture, its label and that label's probability.
    """

    archive: archive.Written
    inputs: tuple[Path, ...]
    device: str
    golden: tuple[str, str, float]


def package(root: Path, spec: ModelSpec, source: Path, weights_path: Path | None = None) -> Packaged:
    """Build `model_store/NAME.mar` from the project at `root`.

    Args:
        root: The project's folder.
        spec: The model.
        source: The YAML file that describes it.
        weights_path: A weights file to take instead of the one the spec asks for.

    Raises:
        VisionserveError: The weights are missing, damaged or not this architecture's, or the labels do not
            match; nothing is written.
    """
    found = weights.find(root, spec.name, spec.handler, weights_path)
    state_dict = checkpoints.read(found.path)
    names = class_labels(root, spec.handler, found)
    carried = dataclasses.replace(
        spec.handler,
        weights=found.path.name,
        sha256=found.sha256,
        labels=LABELS_FILE,
        input=weights.transform(spec.handler),
    )
    served = dataclasses.replace(spec, handler=carried)
    device = network.best_device()
    net = network.load(carried.architecture, state_dict, len(names), device)
    answers = golden.record(
        [picture.name for picture in golden.pictures()],
        Classifier(served, names, net, device).golden_probabilities(),
    )
    runtime = runtime_files()
    members = {
        archive.HANDLER_FILE: (root / HANDLER).read_bytes(),
        CONFIG_FILE: yaml.safe_dump(served.to_mapping(), sort_keys=True).encode(),
        LABELS_FILE: _json(names),
        GOLDEN_FILE: _json(golden.to_json(answers)),
        PROVENANCE_FILE: _json(_provenance(found, device.type)),
        **{name: path.read_bytes() for name, path in runtime.items()},
    }
    written = archive.write(root / STORE / f"{spec.name}.mar", spec.name, found, members)
    label_file = [root / spec.handler.labels] if spec.handler.labels else []
    index, probability = answers[0].top[0]
    return Packaged(
        archive=written,
        inputs=(source, found.path, root / HANDLER, *label_file, *runtime.values()),
        device=str(device),
        golden=(answers[0].picture, names[index], probability),
    )


def class_labels(root: Path, spec: HandlerSpec, found: Found) -> list[str]:
    """One distinct label per class: the spec's file, or the categories that torchvision's entry brings.

    Raises:
        LabelsError: The weights are a file of one's own and the spec names no labels.
    """
    if spec.labels is not None:
        return labels.distinct(labels.read(root / spec.labels))
    if weights.names_entry(spec):
        return labels.distinct(weights.entry(spec).meta["categories"])
    raise LabelsError(
        f"{found.path.name} is no torchvision entry, so its classes have no names: add 'labels: FILE' to handler"
    )


def runtime_files() -> dict[str, Path]:
    """The member name and file of everything the handler imports: `visionserve/__init__.py` and the runtime."""
    package_folder = Path(visionserve.__file__).parent
    files = [package_folder / "__init__.py", *sorted((package_folder / "runtime").rglob("*.py"))]
    return {str(Path("visionserve") / path.relative_to(package_folder)): path for path in files}


def _provenance(found: Found, device: str) -> dict[str, object]:
    return {
        "weights": {"origin": found.origin, "file": found.path.name, "sha256": found.sha256},
        "device": device,
        "versions": {module.__name__: module.__version__ for module in (visionserve, torch, torchvision, PIL)},
    }


def _json(document: Sequence[object] | dict[str, object]) -> bytes:
    return json.dumps(document, indent=1, ensure_ascii=False).encode()
