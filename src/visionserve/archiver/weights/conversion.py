"""Clean weights files: the same tensors, always the same bytes."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors.torch
import torch
from safetensors import SafetensorError

from visionserve.archiver.weights import digests
from visionserve.archiver.weights.serialization import one_line
from visionserve.runtime.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Mapping

_WRITTEN = (".pth", ".pt", ".safetensors")
_DIGITS = 8  # of the SHA-256 in a file's name, as many as torchvision writes


def write(state_dict: Mapping[str, torch.Tensor], target: Path, *, digest_in_name: bool = False) -> Path:
    """Write a state dict as `torch.save` or safetensors, by the suffix of `target`, whole or not at all.

    The same names, tensors and order give the same bytes, wherever the tensors came from.

    Args:
        state_dict: Tensors of any dtype on the CPU; written bit for bit.
        target: The file to make or replace.
        digest_in_name: Put the first digits of its SHA-256 into its name: `net.pth` becomes `net-11ad3fa6.pth`.

    Returns:
        The file written.

    Raises:
        WeightsError: The suffix is neither format's, the folder cannot be written, or the disk is full.
    """
    if target.suffix not in _WRITTEN:
        raise WeightsError(f"{target}: a file to write must end in {', '.join(_WRITTEN)}")
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.stem}.", suffix=target.suffix)
    except OSError as error:
        raise WeightsError(f"{target}: cannot be written: {error.strerror or error}") from error
    part = Path(temporary)
    try:
        with os.fdopen(handle, "wb") as file:
            own = {name: _alone(tensor) for name, tensor in state_dict.items()}
            if target.suffix == ".safetensors":
                safetensors.torch.save_file(own, part, metadata={"format": "pt"})
            else:
                torch.save(own, file)  # to a file object: a path's name would become part of the bytes
        part.chmod(0o644)
        if digest_in_name:
            target = target.with_name(f"{target.stem}-{digests.sha256_of(part)[:_DIGITS]}{target.suffix}")
        part.replace(target)
    except (OSError, RuntimeError, SafetensorError) as error:
        part.unlink(missing_ok=True)
        raise WeightsError(f"{target}: cannot be written: {_cause(error)}") from error
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return target


def _cause(error: Exception) -> str:
    """Why a file could not be written: torch hides a full disk behind an error about its own format."""
    if not isinstance(error, OSError) and isinstance(error.__context__, OSError):
        error = error.__context__
    return one_line(error.strerror or error) if isinstance(error, OSError) else one_line(error)


def _alone(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor with a storage of its own size: a view is saved with the whole tensor that it is a part of."""
    alone = tensor.detach().contiguous()
    fits = alone.untyped_storage().nbytes() == alone.numel() * alone.element_size()
    return alone if fits and alone.storage_offset() == 0 else alone.clone()
