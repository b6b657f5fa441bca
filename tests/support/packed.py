"""Whole archives without a network in them, packed in no time, and built ones of which a member is another."""

from __future__ import annotations

import hashlib
import json
import zipfile
from typing import TYPE_CHECKING

from visionserve.archiver import mar
from visionserve.archiver.weights.lookup import Found
from visionserve.runtime import archive

if TYPE_CHECKING:
    from pathlib import Path

WEIGHTS = bytes(range(256)) * 40
MEMBERS = {
    archive.CONFIG_FILE: b"handler: {}\n",
    archive.LABELS_FILE: b'["cat", "dog"]',
    archive.GOLDEN_FILE: b"[]",
    "visionserve/runtime/worker.py": b"print('worker')\n",
}


def found(folder: Path, data: bytes = WEIGHTS) -> Found:
    """A file with that content, as the builder finds weights."""
    path = folder / "net.pth"
    path.write_bytes(data)
    return Found(path, hashlib.sha256(data).hexdigest(), "net.pth", None, "")


def pack(folder: Path, name: str, data: bytes = WEIGHTS) -> Path:
    """A whole archive of that name in the folder."""
    folder.mkdir(exist_ok=True)
    weights, path = found(folder, data), folder / f"{name}.mar"
    with mar.packed(path, name, weights, MEMBERS):
        pass
    weights.path.unlink()
    return path


def with_member(mar: Path, target: Path, member: str, data: bytes) -> Path:
    """A copy of an archive in which one member is another, as if it had been built so."""
    with zipfile.ZipFile(mar) as source, zipfile.ZipFile(target, "w") as copy:
        manifest = json.loads(source.read(archive.MANIFEST_FILE))
        manifest["sha256"][member] = hashlib.sha256(data).hexdigest()
        changed = {member: data, archive.MANIFEST_FILE: json.dumps(manifest).encode()}
        for name in source.namelist():
            copy.writestr(name, changed.get(name) or source.read(name))
    return target


def answering_otherwise(mar: Path, target: Path) -> Path:
    """A copy whose third golden picture has the fourth one's answer, as if of other weights."""
    with zipfile.ZipFile(mar) as file:
        recorded = json.loads(file.read(archive.GOLDEN_FILE))
    recorded["answers"][2]["logits"] = recorded["answers"][3]["logits"]
    return with_member(mar, target, archive.GOLDEN_FILE, json.dumps(recorded).encode())
