"""A model's YAML and weights to a proven archive, in stages.

weights found, read and fitted -> the model as it will be served -> the reference network's golden answers
-> what the engines need -> checked on the user's pictures -> the members, packed -> opened as a worker opens it
-> the archive
"""

from __future__ import annotations

import dataclasses
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionserve.archiver import contents, mar, provenance
from visionserve.archiver.checking import check
from visionserve.archiver.determinism import every_core, without_tf32
from visionserve.archiver.engines import artefacts
from visionserve.archiver.models import labels
from visionserve.archiver.models.spec import InputChanges
from visionserve.archiver.networks import architectures, sources
from visionserve.archiver.proving import bare
from visionserve.archiver.reference import Reference
from visionserve.archiver.weights import checkpoints, conversion, digests, entries, lookup
from visionserve.project import Project
from visionserve.runtime.archive import LABELS_FILE
from visionserve.runtime.engines import Source, selection
from visionserve.runtime.machine import cores
from visionserve.runtime.model import Model
from visionserve.runtime.proof import agreement, drawing
from visionserve.runtime.proof.golden import Golden

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch

    from visionserve.archiver.checking.check import Checked
    from visionserve.archiver.engines.artefacts import Artefacts
    from visionserve.archiver.engines.calibration import Report
    from visionserve.archiver.models.spec import ModelSpec
    from visionserve.archiver.networks.architectures import Fitted
    from visionserve.archiver.weights.checkpoints import Checkpoint
    from visionserve.archiver.weights.lookup import Found
    from visionserve.runtime.engines import Engine
    from visionserve.runtime.model import Transform
    from visionserve.runtime.proof.golden import Answer


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
        checked: How often it is right about the user's own pictures, if they were given.
        golden: The name of the first golden picture, its label and that label's probability.
    """

    archive: mar.Written
    inputs: tuple[Path, ...]
    weights: str
    notes: tuple[str, ...]
    device: str
    engine: str
    int8: Report | None
    checked: Checked | None
    golden: tuple[str, str, float]


@dataclass(frozen=True)
class _Weights:
    """The weights, as the file has them and as the architecture loads them."""

    found: Found
    checkpoint: Checkpoint
    transform: Transform
    options: dict[str, Any]
    fitted: Fitted
    labels: list[str]


@dataclass(frozen=True)
class _Served:
    """The model as it will be served: its settings, all resolved, and the weights file that travels."""

    config: dict[str, Any]
    model: Model
    carried: Found


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
    with (
        sources.importable(root),
        every_core(),
        without_tf32(),
        tempfile.TemporaryDirectory(prefix="visionserve-") as scratch,
    ):
        weights = _weights(root, spec, weights_path, trust_pickle=trust_pickle)
        served = _served(spec, weights, Path(scratch))
        known = Reference.of(served.model, weights.fitted)
        made = artefacts.make(root, spec.handler, served.model, weights.fitted.state_dict, known.engine)
        answers = known.answers
        if made.int8:
            answers = agreement.record(made.int8.engine, served.model, known.pixels)
        files = contents.files(Project(root), spec.handler.architecture)
        golden = Golden(drawing.pictures(), answers, known.pixels)
        checked = _check(root, spec, served, known, made, golden, Path(scratch))
        facts = provenance.facts(
            root, weights.found, weights.checkpoint, known.device, made, checked, built_from or {}
        )
        members = {
            **{name: path.read_bytes() for name, path in files.items()},
            **made.members,
            **contents.documents(served.config, weights.labels, answers, facts),
            **contents.golden_pictures(known.pixels),
        }
        target = Project(root).archive(spec.name)
        with mar.packed(target, spec.name, served.carried, members) as unproven:
            engine = bare.prove(unproven, root, known.device)
    label_file = [Project(root).find(spec.handler.labels)] if spec.handler.labels else []
    notes = (weights.found.note, weights.fitted.note, *made.notes, _int8_disagreement(known.answers, answers))
    notes += (*checked.notes, *checked.mistakes) if checked else ()
    best = answers[0].best()[0]
    return Built(
        archive=mar.written(target),
        inputs=(source, weights.found.path, *label_file, *files.values(), *made.inputs),
        weights=f"{weights.found.path}: {weights.checkpoint.describe()}",
        notes=tuple(note for note in notes if note),
        device=str(known.device),
        engine=engine,
        int8=made.int8.report if made.int8 else None,
        checked=checked,
        golden=(answers[0].picture, weights.labels[best], float(answers[0].probabilities[best])),
    )


def _weights(root: Path, spec: ModelSpec, path: Path | None, *, trust_pickle: bool) -> _Weights:
    handler = spec.handler
    found = lookup.find(root, spec.name, handler, path)
    checkpoint = checkpoints.read(found.path, handler.weights_key, trust_pickle=trust_pickle)
    transform = entries.transform(handler, found.entry)
    options = {**architectures.options(handler.architecture, transform.crop), **handler.options}
    fitted = architectures.fit(handler.architecture, options, checkpoint.float32())
    names = labels.of_classes(root, handler, found, fitted.classes)
    return _Weights(found, checkpoint, transform, options, fitted, names)


def _served(spec: ModelSpec, weights: _Weights, scratch: Path) -> _Served:
    untouched = weights.checkpoint.is_plain and weights.fitted.unchanged
    carried = weights.found if untouched else _clean(weights, scratch / f"{spec.name}.pth")
    handler = dataclasses.replace(
        spec.handler,
        options=weights.options,
        weights=carried.path.name,
        weights_key=None,
        sha256=carried.sha256,
        labels=LABELS_FILE,
        input=InputChanges(**dataclasses.asdict(weights.transform)),
        calibration=None,
        check=None,
        min_accuracy=None,
    )
    config = dataclasses.replace(spec, handler=handler).to_mapping()
    return _Served(config, Model.from_config(config, weights.labels, spec.name, mar.VERSION), carried)


def _clean(weights: _Weights, target: Path) -> Found:
    """The weights written anew, as the worker loads them; their origin stays that of the file they came from."""
    path = conversion.write(weights.fitted.state_dict, target)
    return dataclasses.replace(weights.found, path=path, sha256=digests.sha256_of(path))


def _check(
    root: Path, spec: ModelSpec, served: _Served, known: Reference, made: Artefacts, golden: Golden, scratch: Path
) -> Checked | None:
    """How often the model is right about the pictures that its spec names, if it names any.

    Raises:
        VisionserveError: They cannot be read, it is right too seldom, or no engine can run it here.
    """
    if spec.handler.check is None:
        return None
    calibrating = made.int8.calibrating if made.int8 else frozenset()
    engine = _engine_here(scratch / "unpacked", served, made.members, golden, known.device)
    checked = check.judge(root / spec.handler.check, served.model, engine, known.behind, calibrating)
    check.require(checked, spec.handler.min_accuracy)
    return checked


def _engine_here(
    folder: Path, served: _Served, members: Mapping[str, bytes], golden: Golden, device: torch.device
) -> Engine:
    """What a worker on this machine runs the model with, found by loading it as a worker does.

    Raises:
        EngineError: What the spec pins is lacking here.
        GoldenError: It gives other answers than those recorded.
    """
    folder.mkdir()
    for name, data in members.items():
        (folder / name).write_bytes(data)
    (folder / served.carried.path.name).symlink_to(served.carried.path.resolve())
    return selection.choose(Source(folder, served.model, device, cores.available()), golden).engine


def _int8_disagreement(expected: Sequence[Answer], answers: Sequence[Answer]) -> str:
    """A warning if int8 and fp32 disagree on the golden pictures.

    It is no error, since the user's own pictures may be like none of these.

    An int8 network knows the range of activations that its calibration pictures cause. Measured: calibrated on
    plain colours alone, ResNet-50 agrees with fp32 on all of those, and on 1 in 13 photograph-like pictures.
    """
    strays = sum(before.best()[0] != after.best()[0] for before, after in zip(expected, answers, strict=True))
    return (
        f"int8 names another class than fp32 for {strays} of {len(answers)} generated photographs: it is right"
        " only for pictures like those it was calibrated on"
        if strays
        else ""
    )
