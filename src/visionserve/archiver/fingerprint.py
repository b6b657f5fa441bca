"""What an archive was built from, as digests it carries, so that the same build need not be done twice."""

from __future__ import annotations

import hashlib
import json
import zipfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from visionserve.archiver import contents, sources
from visionserve.runtime import network
from visionserve.runtime.archive import PROVENANCE_FILE
from visionserve.runtime.machine import device

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from visionserve.archiver.assumptions import Assumed
    from visionserve.project import Project

_DECISIVE = ("torch", "torchvision", "pillow", "openvino")


def of(project: Project, assumed: Assumed) -> dict[str, str]:
    """The digest of everything that decides what is built, by topic."""
    handler = assumed.spec.handler
    own = sources.files(project.root, handler.architecture) if network.is_custom(handler.architecture) else {}
    code = [project.handler, *contents.runtime_files().values(), *sorted(Path(__file__).parent.rglob("*.py"))]
    return {
        "weights": assumed.sha256,
        "settings": _digest(json.dumps(assumed.spec.to_mapping(), sort_keys=True).encode()),
        "labels": _digest(json.dumps(list(assumed.labels)).encode()),
        "the network's code": _digest(*(path.read_bytes() for path in own.values())),
        "visionserve": _digest(*(path.read_bytes() for path in code)),
        "libraries": ", ".join(_versions()) + f" on {device.best().type}",
    }


def recorded(archive: Path) -> Mapping[str, str] | None:
    """What an archive says it was built from; None if it says nothing or is no archive."""
    try:
        with zipfile.ZipFile(archive) as mar:
            found = json.loads(mar.read(PROVENANCE_FILE)).get(contents.BUILT_FROM)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    return found if isinstance(found, dict) else None


def changed(before: Mapping[str, str], now: Mapping[str, str]) -> Sequence[str]:
    """The topics that differ."""
    return [topic for topic in now if before.get(topic) != now[topic]]


def _versions() -> list[str]:
    installed = {}
    for package in _DECISIVE:
        try:
            installed[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            installed[package] = "absent"
    return [f"{package} {version}" for package, version in installed.items()]


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()
