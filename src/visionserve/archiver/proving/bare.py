"""A finished archive proven in a bare process, which sees the archive and the installed libraries alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import visionserve
from visionserve.archiver.errors import UnprovenError
from visionserve.runtime import errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch

_OPENING = Path(__file__).with_name("opening.py")
# Errors that say themselves what is wrong with the model, wherever it was loaded.
_TOLD: Mapping[str, type[errors.VisionserveError]] = {
    kind.__name__: kind
    for kind in (
        errors.SpecError,
        errors.WeightsError,
        errors.EngineError,
        errors.IntegrityError,
        errors.GoldenError,
    )
}
_LINES_SHOWN = 3


def prove(archive: Path, project: Path, device: torch.device) -> str:
    """Open an archive as TorchServe's worker will, and have it answer its golden pictures.

    The process starts in a folder of its own with the archive unpacked in it, and can import neither the project
    nor visionserve, but for what the archive carries of them.

    Args:
        archive: The packed archive.
        project: The folder of the project it was built from.
        device: Where it was built, and is to be proven.

    Returns:
        Which engine runs it here, and why.

    Raises:
        SpecError, WeightsError, EngineError, IntegrityError, GoldenError: As a worker raises them.
        UnprovenError: It cannot be opened for another reason, such as a module that is not in it.
    """
    with tempfile.TemporaryDirectory(prefix="visionserve-proof-") as scratch:
        unpacked, report = Path(scratch) / "unpacked", Path(scratch) / "report.json"
        with zipfile.ZipFile(archive) as mar:
            mar.extractall(unpacked)
        gpu = str(device.index or 0) if device.type == "cuda" else ""
        hidden = [project.resolve(), Path(visionserve.__file__).resolve().parents[1]]
        # -P: neither the program's folder nor the working directory is imported from (Python 3.11).
        command = [sys.executable, "-P", str(_OPENING), str(unpacked), str(report), gpu, *map(str, hidden)]
        ended = subprocess.run(
            command,
            cwd=unpacked,
            env=_environment(),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if not report.exists():
            raise UnprovenError(f"the finished archive cannot be opened: {_end(ended)}")
        found = json.loads(report.read_text(encoding="utf-8"))
    if "why" in found:
        return str(found["why"])
    kind, message = str(found["kind"]), f"{found['message']}{_hint(found['message'])}"
    if told := _TOLD.get(kind):
        raise told(message)
    raise UnprovenError(f"the finished archive cannot be opened where nothing of the project is: {message}")


def _environment() -> dict[str, str]:
    """This process's, without what names further modules to Python, which workers do not get either."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}


def _hint(message: str) -> str:
    """What to do about a module that is not there."""
    if not any(text in message for text in ("No module named", "cannot import name")):
        return ""
    return (
        "; an archive carries those modules of the project that the import statements of the architecture's file"
        " name, and theirs; all others must be installed where it is served"
    )


def _end(ended: subprocess.CompletedProcess[str]) -> str:
    lines: Sequence[str] = [line.strip() for line in ended.stderr.splitlines() if line.strip()]
    said = f": {' | '.join(lines[-_LINES_SHOWN:])}" if lines else ""
    if ended.returncode < 0:
        ends = {number.value: number.name for number in signal.Signals}
        return f"its process was ended by {ends.get(-ended.returncode, f'signal {-ended.returncode}')}{said}"
    return f"its process ended with exit code {ended.returncode}{said}"
