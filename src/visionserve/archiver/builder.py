"""A model's YAML and weights to a proven archive.

spec -> weights found and verified -> network on the device, in eval mode -> golden answers -> what the engines
need -> loaded as the worker will -> archive
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import PIL
import torch
import torchvision
import yaml

import visionserve
from visionserve.archiver import architectures, artefacts, labels, mar, sources
from visionserve.archiver.weights import checkpoints, conversion, lookup
from visionserve.project import Project
from visionserve.runtime import network
from visionserve.runtime.archive import CONFIG_FILE, GOLDEN_FILE, LABELS_FILE, PROVENANCE_FILE
from visionserve.runtime.classifier import Classifier
from visionserve.runtime.engines.eager import EagerEngine
from visionserve.runtime.errors import LabelsError, WeightsError
from visionserve.runtime.machine import cores
from visionserve.runtime.proof import golden
from visionserve.runtime.spec import InputChanges

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from visionserve.archiver.architectures import Fitted
    from visionserve.archiver.artefacts import Artefacts
    from visionserve.archiver.calibration import Report
    from visionserve.archiver.weights.checkpoints import Checkpoint
    from visionserve.archiver.weights.lookup import Found
    from visionserve.runtime.spec import HandlerSpec, InputSpec, ModelSpec

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Built:
    """What was built.

    Attributes:
        archive: The file, its size and digest.
        inputs: Every file it was built from.
        weights: The weights file and what it was found to be.
        notes: What was chosen or taken for granted, for the user to judge.
        device: Where the golden answers were computed.
        engine: What runs it on this machine, and why.
        int8: How far int8 is from fp32, if that is its precision.
        golden: The name of the first golden picture, its label and that label's probability.
    """

    archive: mar.Written
    inputs: tuple[Path, ...]
    weights: str
    notes: tuple[str, ...]
    device: str
    engine: str
    int8: Report | None
    golden: tuple[str, str, float]


def build(
    root: Path,
    spec: ModelSpec,
    source: Path,
    weights_path: Path | None = None,
    *,
    trust_pickle: bool = False,
    built_from: Mapping[str, str] | None = None,
) -> Built:
    """Build `model_store/NAME.mar` from the project at `root`.

    Args:
        root: The project's folder.
        spec: The model.
        source: The YAML file that describes it.
        weights_path: A weights file to take instead of the one the spec asks for.
        trust_pickle: Unpickle weights that hold more than tensors; what is served never needs it.
        built_from: Digests for the provenance, by which a later run sees whether the archive is still right.

    Raises:
        VisionserveError: The weights are missing, damaged or not this architecture's, or the labels do not
            match; nothing is written.
    """
    project = Project(root)
    found = lookup.find(root, spec.name, spec.handler, weights_path)
    checkpoint = checkpoints.read(found.path, spec.handler.weights_key, trust_pickle=trust_pickle)
    transform = lookup.transform(spec.handler, found.entry)
    architecture = spec.handler.architecture
    options = {**architectures.options(architecture, transform.crop), **spec.handler.options}
    device = network.best_device()
    with sources.importable(root), _every_core(), tempfile.TemporaryDirectory(prefix="visionserve-") as scratch:
        fitted = architectures.fit(architecture, options, checkpoint.float32())
        names = class_labels(root, spec.handler, found, fitted.classes)
        untouched = checkpoint.is_plain and fitted.unchanged
        carried = found if untouched else _clean(fitted, found, Path(scratch) / f"{spec.name}.pth")
        served = _resolved(spec, carried, options, transform)
        net = network.load(served.handler, fitted.state_dict, fitted.classes, device)
        reference = Classifier(served, names, EagerEngine(net, transform, device), device)
        expected = _golden_answers(reference, found)
        calibrated = dataclasses.replace(served.handler, calibration=spec.handler.calibration)
        made = artefacts.make(root, calibrated, fitted.state_dict, reference)
        answers = (
            _golden_answers(Classifier(served, names, made.int8.engine, _CPU), found) if made.int8 else expected
        )
        own = sources.files(root, architecture) if network.is_custom(architecture) else {}
        files = {**own, **runtime_files()}
        members = {
            **{name: path.read_bytes() for name, path in files.items()},
            **made.members,
            mar.HANDLER_FILE: project.handler.read_bytes(),
            CONFIG_FILE: yaml.safe_dump(served.to_mapping(), sort_keys=True).encode(),
            LABELS_FILE: _json(names),
            GOLDEN_FILE: _json(golden.to_json(answers)),
            PROVENANCE_FILE: _json(_provenance(found, checkpoint, device.type, made, built_from)),
        }
        engine = _engine_here(Path(scratch) / "unpacked", served, carried.path, members, device)
        written = mar.write(project.archive(spec.name), spec.name, carried, members)
    label_file = [project.find(spec.handler.labels)] if spec.handler.labels else []
    index, probability = answers[0].top[0]
    return Built(
        archive=written,
        inputs=(source, found.path, project.handler, *label_file, *files.values(), *made.inputs),
        weights=f"{found.path}: {checkpoint.describe()}",
        notes=tuple(note for note in (found.note, fitted.note, *made.notes, _stray(expected, answers)) if note),
        device=str(device),
        engine=engine,
        int8=made.int8.report if made.int8 else None,
        golden=(answers[0].picture, names[index], probability),
    )


def class_labels(root: Path, spec: HandlerSpec, found: Found, classes: int) -> list[str]:
    """One distinct label per class: the spec's file, or the categories that torchvision's entry brings.

    Args:
        root: The project's folder.
        spec: The model.
        found: Its weights.
        classes: The class count of their head.

    Raises:
        LabelsError: The labels are not as many as the classes, or the spec names none for weights of one's own.
    """
    if spec.labels is not None:
        path = Project(root).find(spec.labels)
        names, source = labels.read(path), str(path)
    elif found.entry is not None:
        names, source = list(found.entry.meta["categories"]), str(found.entry)
    else:
        raise LabelsError(
            f"{found.path.name} is no torchvision entry, so its {classes} classes have no names"
            ": add 'labels: FILE' to handler"
        )
    labels.require_count(names, classes, source)
    return labels.distinct(names)


def _resolved(spec: ModelSpec, carried: Found, options: dict[str, Any], transform: InputSpec) -> ModelSpec:
    """The spec as it travels in the archive: nothing is left to be found or to follow from anything else."""
    handler = dataclasses.replace(
        spec.handler,
        options=options,
        weights=carried.path.name,
        weights_key=None,
        sha256=carried.sha256,
        labels=LABELS_FILE,
        input=InputChanges(**dataclasses.asdict(transform)),
        calibration=None,
    )
    return dataclasses.replace(spec, handler=handler)


def _golden_answers(classifier: Classifier, found: Found) -> list[golden.GoldenAnswer]:
    probabilities = classifier.golden_probabilities()
    if not torch.isfinite(probabilities).all():
        raise WeightsError(
            f"{found.path}: the network answers a golden picture with NaN; take an earlier checkpoint"
        )
    return golden.record([picture.name for picture in golden.pictures()], probabilities)


def _engine_here(
    folder: Path, spec: ModelSpec, weights_file: Path, members: Mapping[str, bytes], device: torch.device
) -> str:
    """What a worker on this machine runs the model with, and why, found by loading it as a worker does.

    Raises:
        EngineError: What the spec pins is lacking here.
        GoldenError: It gives other answers than fp32.
    """
    folder.mkdir()
    for name in (name for name in members if "/" not in name):
        (folder / name).write_bytes(members[name])
    (folder / weights_file.name).symlink_to(weights_file.resolve())
    return Classifier.open(folder, spec.name, mar.VERSION, spec.to_mapping(), device).why


@contextmanager
def _every_core() -> Iterator[None]:
    """Compute with every core, whatever this process loaded before: the last digits of an answer depend on it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(cores.available())
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _stray(expected: Sequence[golden.GoldenAnswer], answers: Sequence[golden.GoldenAnswer]) -> str:
    """A warning if int8 answers the golden pictures otherwise than fp32, for they may be like none of the user's.

    An int8 network knows the range of activations that its calibration pictures cause. Measured: calibrated on
    plain colours alone, ResNet-50 agrees with fp32 on all of those, and on 1 in 13 photograph-like pictures.
    """
    strays = sum(before.top[0][0] != after.top[0][0] for before, after in zip(expected, answers, strict=True))
    return (
        f"int8 names another class than fp32 for {strays} of {len(answers)} generated photographs: it is right"
        " only for pictures like those it was calibrated on"
        if strays
        else ""
    )


def _clean(fitted: Fitted, found: Found, target: Path) -> Found:
    """The weights written anew, as the worker loads them; their origin stays that of the file they came from."""
    path = conversion.write(fitted.state_dict, target)
    return dataclasses.replace(found, path=path, sha256=lookup.digest(path))


def runtime_files() -> dict[str, Path]:
    """The member name and file of everything the handler imports: `visionserve/__init__.py` and the runtime."""
    package_folder = Path(visionserve.__file__).parent
    files = [package_folder / "__init__.py", *sorted((package_folder / "runtime").rglob("*.py"))]
    return {str(Path("visionserve") / path.relative_to(package_folder)): path for path in files}


def _provenance(
    found: Found, checkpoint: Checkpoint, device: str, made: Artefacts, built_from: Mapping[str, str] | None
) -> dict[str, object]:
    return {
        **({"built_from": dict(built_from)} if built_from else {}),
        **({"int8": dataclasses.asdict(made.int8.report)} if made.int8 else {}),
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
        "device": device,
        "versions": {module.__name__: module.__version__ for module in (visionserve, torch, torchvision, PIL)},
    }


def _json(document: Sequence[object] | dict[str, object]) -> bytes:
    return json.dumps(document, indent=1, ensure_ascii=False).encode()
