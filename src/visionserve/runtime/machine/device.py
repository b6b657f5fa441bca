"""The device that computes, and what its errors mean: too little memory for now, or dead for good."""

from __future__ import annotations

import logging
import os

import torch

logger = logging.getLogger(__name__)

_DEAD = 70  # the exit code, EX_SOFTWARE of sysexits.h


def best() -> torch.device:
    """The first GPU if this process can use one, else the CPU."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def of_worker(gpu_id: int | None) -> torch.device:
    """The GPU that a server assigned to this worker, or the CPU where it assigned none or there is none."""
    if gpu_id is not None and torch.cuda.is_available():
        return torch.device("cuda", gpu_id)
    return torch.device("cpu")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on the GPU or here."""
    # torch's CPU allocator raises a plain RuntimeError with this text (c10/core/impl/alloc_cpu.cpp).
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "can't allocate memory" in str(error)


def end_process_if_dead(device: torch.device) -> None:
    """After an error: end this process if the device cannot compute any more.

    A device-side assert or an illegal access leaves the CUDA context unusable: every later call fails the same
    way until a new process makes a new context. TorchServe restarts a worker that ends, not one that fails.
    """
    if device.type != "cuda":
        return
    try:
        torch.ones(1, device=device).add_(1).item()
    except torch.OutOfMemoryError:
        return
    except Exception:
        logger.exception("%s cannot compute any more; this worker ends so that it is restarted", device)
        logging.shutdown()
        os._exit(_DEAD)
