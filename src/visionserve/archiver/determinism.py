"""What decides the last digits of a build's answers, held the same from one build to the next."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from visionserve.runtime.machine import cores

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def without_tf32() -> Iterator[None]:
    """Compute on a GPU with all of fp32's digits: TF32, torch's default for convolutions, keeps 10 bits of 23."""
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, convolutions.allow_tf32
    products.allow_tf32 = convolutions.allow_tf32 = False
    try:
        yield
    finally:
        products.allow_tf32, convolutions.allow_tf32 = before


@contextmanager
def every_core() -> Iterator[None]:
    """Compute with every core, whatever this process loaded before: the last digits of an answer depend on it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(cores.available())
    try:
        yield
    finally:
        torch.set_num_threads(threads)
