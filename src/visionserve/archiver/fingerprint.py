"""What an archive was built from, as digests it carries, so that the same build need not be done twice."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionserve.archiver import contents, provenance
from visionserve.archiver.engines import calibration
from visionserve.archiver.models import labels
from visionserve.archiver.networks import sources
from visionserve.archiver.weights import lookup
from visionserve.evaluation import layouts
from visionserve.runtime import network
from visionserve.runtime.archive import PROVENANCE_FILE
from visionserve.runtime.integrity import UNREADABLE
from visionserve.runtime.machine import device

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from visionserve.archiver.assumptions import Assumed
    from visionserve.archiver.models.spec import ModelSpec
    from visionserve.project import Project


def of_assumed(project: Project, assumed: Assumed) -> dict[str, str]:
    """The digest of everything that decides what is built of a weights file, by topic."""
    return _of(project, assumed.spec, assumed.sha256, assumed.labels)


def of_described(project: Project, spec: ModelSpec) -> dict[str, str]:
    """The same of a model that a YAML describes.

    Raises:
        WeightsError: Its weights are not here, or damaged.
        LabelsError: Its labels cannot be read.
        CalibrationError: It is to be int8, and there are too few pictures to calibrate on.
    """
    found = lookup.find(project.root, spec.name, spec.handler)
    names = labels.read(project.find(spec.handler.labels)) if spec.handler.labels else []
    return _of(project, spec, found.sha256, names)


def _of(project: Project, spec: ModelSpec, sha256: str, names: Sequence[str]) -> dict[str, str]:
    handler = spec.handler
    # What a model is checked on decides nothing of what is built, so the same archive serves without a check.
    unchecked = dataclasses.replace(spec, handler=dataclasses.replace(handler, check=None, min_accuracy=None))
    libraries = {name: version for name, version in provenance.versions().items() if name in provenance.LIBRARIES}
    code = [project.handler, *contents.runtime_files().values(), *sorted(Path(__file__).parent.rglob("*.py"))]
    return {
        "weights": sha256,
        "settings": _digest(json.dumps(unchecked.to_mapping(), sort_keys=True).encode()),
        "labels": _digest(json.dumps(list(names)).encode()),
        "calibration pictures": _digest(*(path.read_bytes() for path in _pictures(project, spec))),
        **({"the check's pictures": _checked_on(project, spec)} if handler.check else {}),
        "the network's code": _digest(*(path.read_bytes() for path in _own_code(project, handler.architecture))),
        "visionserve": _digest(*(path.read_bytes() for path in code)),
        "libraries": f"{json.dumps(libraries)} on {device.best().type}",
    }


def _own_code(project: Project, architecture: str) -> Sequence[Path]:
    if not network.is_custom(architecture):
        return []
    with sources.importable(project.root), suppress(ImportError):  # the build says better what is missing
        importlib.import_module(architecture.partition(":")[0])
    return list(sources.files(project.root, architecture).values())


def _pictures(project: Project, spec: ModelSpec) -> Sequence[Path]:
    handler = spec.handler
    source = calibration.source(handler)
    if handler.precision != "int8" or source is None:
        return []
    return calibration.find(project.root / source, handler.min_agreement)


def _checked_on(project: Project, spec: ModelSpec) -> str:
    """The digest of the names, classes and sizes of the pictures that a model is checked on, which may be many."""
    handler = spec.handler
    found = layouts.read(project.root / str(handler.check))
    listed = sorted(f"{path.name}\0{name}\0{path.stat().st_size}" for path, name in found)
    return _digest(str(handler.min_accuracy).encode(), "\n".join(listed).encode("utf-8", "surrogateescape"))


def recorded(archive: Path) -> Mapping[str, str] | None:
    """What an archive says it was built from; None if it says nothing or is no archive."""
    found = _provenance(archive).get(provenance.BUILT_FROM)
    return found if isinstance(found, dict) else None


def origin(archive: Path) -> str:
    """An archive's weights: an entry of torchvision's, or a file's name; empty if it does not say."""
    weights = _provenance(archive).get("weights")
    return str(weights.get("origin", "")) if isinstance(weights, dict) else ""


def _provenance(archive: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(archive) as mar:
            document = json.loads(mar.read(PROVENANCE_FILE))
    except UNREADABLE:
        return {}
    return document if isinstance(document, dict) else {}


def changed(before: Mapping[str, str], now: Mapping[str, str]) -> Sequence[str]:
    """The topics that differ."""
    return [topic for topic in now if before.get(topic) != now[topic]]


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()
