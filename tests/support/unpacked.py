"""Unpacked archives, opened as a worker opens them."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import yaml
from tests.support import quick

from visionserve.runtime import archive as members
from visionserve.runtime.engines import Source
from visionserve.runtime.model import Model
from visionserve.runtime.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Mapping

CPU = torch.device("cpu")


def with_members(folder: Path, target: Path, changed: Mapping[str, bytes]) -> Path:
    """An unpacked archive in which some members are others, as if it had been built so."""
    for path in folder.iterdir():
        if path.name != "MAR-INF":
            (target / path.name).symlink_to(path)
    manifest = json.loads((folder / members.MANIFEST_FILE).read_text())
    for member, data in changed.items():
        (target / member).unlink()
        (target / member).write_bytes(data)
        manifest["sha256"][member] = hashlib.sha256(data).hexdigest()
    (target / "MAR-INF").mkdir()
    (target / members.MANIFEST_FILE).write_text(json.dumps(manifest))
    return target


def with_config(folder: Path, target: Path, config: Mapping[str, Any]) -> Path:
    """An unpacked archive with other settings."""
    return with_members(folder, target, {members.CONFIG_FILE: yaml.safe_dump(config).encode()})


def opened(folder: Path, **handler: object) -> Mapping[str, Any]:
    """What a worker says of an archive whose `handler` section is changed."""
    config = members.read_config(folder)
    config["handler"].update(handler)
    with tempfile.TemporaryDirectory() as scratch:
        return Worker.open(with_config(folder, Path(scratch), config), device=CPU).description


def source(archive: Path) -> Source:
    model = Model.from_config(members.read_config(archive), quick.LABELS, "quick", "1.0")
    return Source(archive, model, CPU, threads=1)


def served(archive: Path, folder: Path, pictures: list[bytes]) -> list[dict[str, float]]:
    """What the archive's own handler answers, unpacked and called as TorchServe's worker does it."""
    with zipfile.ZipFile(archive) as mar:
        mar.extractall(folder)
    manifest = json.loads((folder / "MAR-INF" / "MANIFEST.json").read_text())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ts leaves its version file open
        ts = importlib.import_module("ts.context")
    config = yaml.safe_load((folder / "model-config.yaml").read_text())
    context = ts.Context(
        manifest["model"]["modelName"],
        str(folder),
        manifest,
        len(pictures),
        None,
        "0.12.0",
        model_yaml_config=config,
    )
    context.request_processor = [ts.RequestProcessor({}) for _ in pictures]
    module_spec = importlib.util.spec_from_file_location("handler", folder / manifest["model"]["handler"])
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    handler = module.ImageClassifier()
    handler.initialize(context)
    return [json.loads(body) for body in handler.handle([{"body": data} for data in pictures], context)]


def served_contents(mar: Path) -> str:
    """The digest of all that an archive is served by: of what it holds, without where that came from."""
    with zipfile.ZipFile(mar) as file:
        digests = {name: hashlib.sha256(file.read(name)).hexdigest() for name in file.namelist()}
        manifest = json.loads(file.read(members.MANIFEST_FILE))
    del digests[members.MANIFEST_FILE], digests[members.PROVENANCE_FILE]
    del manifest["sha256"][members.PROVENANCE_FILE]
    return hashlib.sha256(json.dumps([digests, manifest], sort_keys=True).encode()).hexdigest()


def unpacked(mar: Path, folder: Path) -> Path:
    """An archive, unpacked into a folder."""
    with zipfile.ZipFile(mar) as file:
        file.extractall(folder)
    return folder
