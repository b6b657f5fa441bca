"""Archives that a suite builds by the hundred, proven in its own process: a bare one costs seconds each time."""

from __future__ import annotations

import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from visionserve.runtime import archive
from visionserve.runtime.engines import Source, selection
from visionserve.runtime.machine import cores
from visionserve.runtime.model import Model

if TYPE_CHECKING:
    import torch


def in_this_process(packed: Path, project: Path, device: torch.device) -> str:
    """What `bare.prove` does, but for the process and the decoders."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with zipfile.ZipFile(packed) as mar:
            mar.extractall(folder)
        labels = archive.read_labels(folder)
        identity = archive.read_identity(folder)
        model = Model.from_config(archive.read_config(folder), labels, identity.name, identity.version)
        source = Source(folder, model, device, cores.available())
        return selection.choose(source, archive.read_golden(folder, labels)).why
