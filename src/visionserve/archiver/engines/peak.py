"""The most multiplications a second that this processor does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

_SIDE = 1024  # of the matrices
_SECONDS = 1.0


def measure(precision: str, threads: int) -> float | None:
    """The most that torch's multiplication of matrices does here, in multiplications a second, if it does any.

    Args:
        precision: `fp32`, `bf16` or `int8`.
        threads: How many threads to use.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        if precision == "int8":
            one = torch.randint(-9, 9, (_SIDE, _SIDE), dtype=torch.int8)
            multiply: Callable[[Any, Any], Any] = torch._int_mm
        else:
            one = torch.rand(_SIDE, _SIDE, dtype={"fp32": torch.float32, "bf16": torch.bfloat16}[precision])
            multiply = torch.mm
        fastest, start = float("inf"), time.perf_counter()
        while time.perf_counter() - start < _SECONDS:
            begun = time.perf_counter()
            multiply(one, one)
            fastest = min(fastest, time.perf_counter() - begun)
    except RuntimeError:  # torch has none of this kind here
        return None
    finally:
        torch.set_num_threads(before)
    return _SIDE**3 / fastest
