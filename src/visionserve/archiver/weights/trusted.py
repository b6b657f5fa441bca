"""A pickle that the user trusts: its code runs in a process of its own, and only tensors come back.

Run as `python -m visionserve.archiver.weights.trusted SRC DST` it is that process.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from visionserve.archiver.weights import serialization
from visionserve.runtime.errors import WeightsError

_DEPTH = 3
_TIMEOUT = 600.0  # seconds


def load(path: Path) -> object:
    """Unpickle a file in another process and read back the dicts of tensors it held.

    Raises:
        WeightsError: The process failed, for example because a class of the pickle cannot be imported, or there
            is no temporary folder to write to.
    """
    try:
        return _load(path)
    except OSError as error:
        raise WeightsError(f"{path}: unpickling failed: {error}") from error


def _load(path: Path) -> object:
    with tempfile.TemporaryDirectory(prefix="visionserve-") as folder:
        kept = Path(folder) / "tensors.pth"
        command = [sys.executable, "-m", __spec__.name, str(path), str(kept)]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_TIMEOUT, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise WeightsError(f"{path}: unpickling did not end within {_TIMEOUT:.0f} s") from error
        if done.returncode != 0 or not kept.exists():
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            raise WeightsError(f"{path}: unpickling failed: {serialization.printable(lines[-1])}")
        # The tensors are mapped from the file, which stays readable after its folder is deleted.
        return serialization.load(kept, "torch.save (zip)")


def keep_tensors(value: Any, depth: int = _DEPTH) -> Any:
    """The dicts of tensors in an object: a module's state dict, a dict's dicts; None for all else."""
    if isinstance(value, nn.Module):
        return keep_tensors(dict(value.state_dict()), depth)
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return torch.from_numpy(value.copy())
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().as_subclass(torch.Tensor)
    if isinstance(value, (int, float, str)):
        return value
    if isinstance(value, dict) and depth:
        kept = {name: keep_tensors(item, depth - 1) for name, item in value.items() if isinstance(name, str)}
        return {name: item for name, item in kept.items() if item is not None}
    return None


def _unpickle(path: Path) -> Any:
    if serialization.detect(path) == "pickle":
        with path.open("rb") as file:
            return pickle.load(file)  # noqa: S301  the user said --trust-pickle, and this process is for that
    return torch.load(path, map_location="cpu", weights_only=False)


def _main(source: str, destination: str) -> None:
    kept = keep_tensors(_unpickle(Path(source)))
    torch.save(kept if isinstance(kept, dict) else {}, destination)


if __name__ == "__main__":
    _main(*sys.argv[1:])
