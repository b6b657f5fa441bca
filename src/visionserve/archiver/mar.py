"""The .mar format: a zip with a manifest, written so that the same inputs give the same bytes."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from visionserve.archiver.weights.digests import sha256_of
from visionserve.runtime import integrity
from visionserve.runtime.archive import CONFIG_FILE, MANIFEST_FILE
from visionserve.runtime.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from visionserve.archiver.weights.lookup import Found

HANDLER_FILE = "visionserve_image_classifier.py"
VERSION = "1.0"

# The release of torch-model-archiver whose manifest this is.
_ARCHIVER_VERSION = "0.12.0"
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE = 0o100644
_ZIP64_FROM = (1 << 31) - 1


@dataclass(frozen=True)
class Written:
    """An archive on disk.

    Attributes:
        path: The file.
        size: Its bytes.
        sha256: Its digest, in hexadecimal.
    """

    path: Path
    size: int
    sha256: str


def manifest(name: str, weights_file: str, digests: Mapping[str, str]) -> dict[str, Any]:
    """What TorchServe reads to load the model, and the SHA-256 of every other member.

    The keys are those of torch-model-archiver's manifest, without `createdOn`, which would differ each time.
    """
    return {
        "runtime": "python",
        "model": {
            "modelName": name,
            "serializedFile": weights_file,
            "handler": HANDLER_FILE,
            "modelVersion": VERSION,
            "configFile": CONFIG_FILE,
        },
        "archiverVersion": _ARCHIVER_VERSION,
        "sha256": dict(sorted(digests.items())),
    }


def digests_of(members: Mapping[str, bytes], weights_file: Found) -> dict[str, str]:
    """The SHA-256 of each member, the weights' as they were read."""
    return {
        **{member: hashlib.sha256(data).hexdigest() for member, data in members.items()},
        weights_file.path.name: weights_file.sha256,
    }


@contextmanager
def packed(path: Path, name: str, weights_file: Found, members: Mapping[str, bytes]) -> Iterator[Path]:
    """Pack an archive that gets its name once it is proven: when the block ends without an error.

    Members are sorted, stored uncompressed (weights do not compress, and loading is faster), and carry fixed
    times and modes.

    Args:
        path: The .mar to make or replace.
        name: The model's name.
        weights_file: The weights, copied untouched under their own file name.
        members: Every other member by name.

    Yields:
        The finished file, still under a name of its own.

    Raises:
        OSError: The folder cannot be written, or the disk is full.
        WeightsError: The weights file has changed since it was read.
    """
    weights_name = weights_file.path.name
    document = manifest(name, weights_name, digests_of(members, weights_file))
    contents = {**members, MANIFEST_FILE: json.dumps(document, indent=2).encode()}
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{name}.", suffix=".mar")
    try:
        with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for member in sorted([*contents, weights_name]):
                if member == weights_name:
                    _copy(archive, weights_file)
                else:
                    archive.writestr(_entry(member), contents[member])
        integrity.seal(Path(temporary))
        yield Path(temporary)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def written(path: Path) -> Written:
    """An archive that is on disk."""
    return Written(path, path.stat().st_size, sha256_of(path))


def _entry(member: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(member, _ZIP_EPOCH)
    info.create_system = 3  # Unix, wherever it is built
    info.external_attr = _REGULAR_FILE << 16
    return info


def _copy(archive: zipfile.ZipFile, weights: Found) -> None:
    """Pack the weights, and see that they are still those that were read."""
    path, digest = weights.path, hashlib.sha256()
    large = path.stat().st_size > _ZIP64_FROM
    with path.open("rb") as source, archive.open(_entry(path.name), "w", force_zip64=large) as target:
        while block := source.read(1 << 20):
            digest.update(block)
            target.write(block)
    if digest.hexdigest() != weights.sha256:
        raise WeightsError(f"{path}: has changed while it was packed; build again once nothing writes it")
