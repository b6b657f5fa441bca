"""What it takes to serve a weights file: what its user says, and for the rest what the file tells or is usual.

Whatever was not said is told back in a sentence, for the user to judge.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torchvision

from visionserve.archiver.models import labels
from visionserve.archiver.models.spec import HandlerSpec, InputChanges, ModelSpec
from visionserve.archiver.networks import architectures, sources
from visionserve.archiver.weights import checkpoints, digests, entries, lookup
from visionserve.runtime import network
from visionserve.runtime.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from visionserve.archiver.networks.architectures import Candidate
    from visionserve.archiver.weights.checkpoints import Checkpoint
    from visionserve.project import Project
    from visionserve.runtime.model import Transform

_IMAGENET = torchvision.models.ResNet50_Weights.IMAGENET1K_V1
# The resize of most training scripts; torchvision's newer weights want another.
_USUAL_RESIZE = 256


@dataclass(frozen=True, kw_only=True)
class Stated:
    """What a user says of a weights file.

    Attributes:
        name: The name to serve it by.
        architecture: A torchvision classifier, or `package.module:function`.
        key: Where in the file the state dict is.
        labels: A file with one label per class.
        input: What to change in the transform.
        trust_pickle: Unpickle a file that holds more than tensors.
        check: Labelled pictures to try the model on; see `HandlerSpec`.
        min_accuracy: The share of them that it must be right about.
    """

    name: str | None = None
    architecture: str | None = None
    key: str | None = None
    labels: Path | None = None
    input: InputChanges = field(default_factory=InputChanges)
    trust_pickle: bool = False
    check: Path | None = None
    min_accuracy: float | None = None

    def checked(self, spec: ModelSpec) -> ModelSpec:
        """A model that is checked as it says itself, but for what was said here."""
        return dataclasses.replace(spec, handler=dataclasses.replace(spec.handler, **self.checking()))

    def checking(self) -> dict[str, Any]:
        """The fields of `HandlerSpec` that say how it is checked, where they were said."""
        said = {"check": self.check and str(self.check), "min_accuracy": self.min_accuracy}
        return {name: value for name, value in said.items() if value is not None}


@dataclass(frozen=True)
class Assumed:
    """Everything that an archive of a weights file needs.

    Attributes:
        spec: The model; its weights and labels are the two below.
        weights: The file.
        sha256: Its digest, in hexadecimal.
        labels: One per class, in class order.
        transform: The whole transform.
        facts: What was found or taken for granted, by topic, in sentences.
    """

    spec: ModelSpec
    weights: Path
    sha256: str
    labels: Sequence[str]
    transform: Transform
    facts: Mapping[str, str]


def assume(project: Project, path: Path, stated: Stated) -> Assumed:
    """Complete what is said of a weights file.

    Args:
        project: From whose folder an architecture of one's own is imported.
        path: The weights file.
        stated: What its user says.

    Raises:
        WeightsError: The file cannot be read or is damaged or untrusted, or not exactly one architecture fits.
        SpecError: What was said is impossible, or the name is.
        LabelsError: The labels cannot be read, or are not as many as the classes.
    """
    sha256 = digests.verify(path)
    checkpoint = checkpoints.read(path, stated.key, trust_pickle=stated.trust_pickle)
    with sources.importable(project.root):
        architecture, why = _architecture(path, checkpoint, stated)
        entry = next((e for e in entries.classifying(architecture) if entries.file_name(e) == path.name), None)
        transform, from_where = _transform(architecture, checkpoint, entry, stated.input)
        options = architectures.options(architecture, transform.crop)
        classes = architectures.fit(architecture, options, checkpoint.float32()).classes
    names, order = _labels(path, classes, entry, stated)
    name = stated.name or model_name(path)
    handler = HandlerSpec(
        architecture=architecture,
        weights_key=stated.key,
        input=InputChanges(**dataclasses.asdict(transform)),
        **stated.checking(),
    )
    facts = {
        "weights": f"{path}: {checkpoint.describe()}",
        "architecture": f"{architecture} with {classes} classes, {why}",
        "transform": from_where,
        "labels": order,
    }
    return Assumed(ModelSpec(name=name, handler=handler), path, sha256, names, transform, facts)


def model_name(path: Path) -> str:
    """A model name that TorchServe takes, from a file's name: `My flowers.pth.tar` is `My-flowers`."""
    digest = digests.in_name(path)
    stem = path.name
    for suffix in sorted(lookup.SUFFIXES, key=len, reverse=True):
        stem = stem.removesuffix(suffix)
    if digest is not None:
        stem = stem.removesuffix(f"-{digest}")
    return re.sub(r"[^A-Za-z0-9_.\-]+", "-", stem).strip("-_.") or "model"


def _architecture(path: Path, checkpoint: Checkpoint, stated: Stated) -> tuple[str, str]:
    if stated.architecture is not None:
        return stated.architecture, "as you said"
    found = architectures.candidates(checkpoint.state_dict)
    if len(found) == 1:
        return found[0].architecture, "the only torchvision classifier with these tensor names and shapes"
    if not found:
        raise WeightsError(
            f"{path}: no torchvision classifier has these names and shapes; say --architecture NAME to learn what"
            " differs, or --architecture package.module:function for a network of your own"
        )
    raise WeightsError(
        f"{path}: {_listed(found)} all fit; choose with --architecture, such as"
        f" --architecture {found[0].architecture}"
    )


def _listed(found: Sequence[Candidate]) -> str:
    names = [candidate.architecture for candidate in found]
    return ", ".join(names[:-1]) + f" and {names[-1]}"


def _transform(
    architecture: str, checkpoint: Checkpoint, entry: object, changes: InputChanges
) -> tuple[Transform, str]:
    """The transform, and where it is from."""
    if network.is_custom(architecture):
        brought = entries.transform(HandlerSpec(architecture="resnet50"), _IMAGENET)
        where = "the usual one, for a network of your own brings none"
    else:
        source = entry or entries.classifying(architecture)[0]
        brought = entries.transform(HandlerSpec(architecture=architecture), source)
        where = f"that of {source}" + ("" if entry else f", the default weights of {architecture}")
    side = architectures.image_side(checkpoint.state_dict)
    if side is not None and side != brought.crop:
        brought = dataclasses.replace(brought, crop=side, resize=round(side * brought.resize / brought.crop))
        where += f", at the {side} pixels that the weights have positions for"
    transform = dataclasses.replace(brought, **changes.given())
    said = f"; {', '.join(changes.given())} as you said" if changes.given() else ""
    hint = (
        f". Most people fine-tune with resize {_USUAL_RESIZE}: say --resize {_USUAL_RESIZE} if you did"
        if not entry and changes.resize is None and transform.crop == 224 and transform.resize != _USUAL_RESIZE
        else ""
    )
    if transform.crop > transform.resize:
        hint += f". The crop is larger than the picture, whose border will be black: say --crop {transform.resize}"
    mean, std = (" ".join(f"{value:g}" for value in values) for values in (transform.mean, transform.std))
    return transform, (
        f"resize {transform.resize} ({transform.interpolation}), crop {transform.crop}, mean {mean}, std {std}"
        f": {where}{said}{hint}"
    )


def _labels(path: Path, classes: int, entry: object, stated: Stated) -> tuple[Sequence[str], str]:
    """The labels, and where they and their order are from."""
    if stated.labels is not None:
        names = labels.read(stated.labels)
        labels.require_count(names, classes, str(stated.labels))
        return names, (
            f"from {stated.labels} in class order, '{names[0]}' is class 0 and '{names[-1]}' class {classes - 1}"
        )
    if classes < 1:
        raise WeightsError(f"{path}: its head has no classes, or none that can be told; give --labels FILE")
    categories: list[str] = _IMAGENET.meta["categories"]
    if entry is not None or classes == len(categories):
        why = f"those of {entry}" if entry is not None else "ImageNet's, for there are 1000 classes"
        return categories, f"{why}, in torchvision's order" + ("" if entry else "; else give --labels FILE")
    names = [str(index) for index in range(classes)]
    return names, f"the class numbers 0 to {classes - 1}, for {path.name} has no names; give --labels FILE"
