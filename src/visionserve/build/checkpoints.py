"""Weights files as people save them, to a clean float32 state dict on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from visionserve.runtime.errors import WeightsError

if TYPE_CHECKING:
    from pathlib import Path


def read(path: Path) -> dict[str, torch.Tensor]:
    """The state dict in a file; nothing in it is executed.

    Raises:
        WeightsError: The file cannot be read, is no checkpoint, or holds anything but tensors.
    """
    try:
        document = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # torch raises many kinds for a damaged or untrusted file
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsError(f"{path}: is not a state dict saved by torch.save: {cause}") from error
    if not isinstance(document, dict) or not all(isinstance(v, torch.Tensor) for v in document.values()):
        raise WeightsError(f"{path}: holds {type(document).__name__}, not a state dict of tensors")
    return document
