"""Unpacked archives, opened as a worker opens them."""

from __future__ import annotations

import tempfile
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


def opened(folder: Path, **handler: object) -> Mapping[str, Any]:
    """What a worker says of an archive whose `handler` section is changed."""
    with tempfile.TemporaryDirectory() as scratch:
        changed = Path(scratch)
        for path in folder.iterdir():
            (changed / path.name).symlink_to(path)
        config = members.read_config(folder)
        config["handler"].update(handler)
        (changed / members.CONFIG_FILE).unlink()
        (changed / members.CONFIG_FILE).write_text(yaml.safe_dump(config))
        return Worker.open(changed, device=CPU).description


def source(archive: Path) -> Source:
    model = Model.from_config(members.read_config(archive), quick.LABELS, "quick", "1.0")
    return Source(archive, model, CPU, threads=1)
