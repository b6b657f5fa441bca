from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from visionserve.runtime.machine import device

on_gpu = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_out_of_memory_is_told_from_other_errors(error: Exception, expected: bool) -> None:
    assert device.is_out_of_memory(error) is expected


def test_torchs_own_error_for_the_cpu_is_out_of_memory() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 55, dtype=torch.uint8)
    assert device.is_out_of_memory(caught.value)


def run(program: str) -> int:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode


def test_a_cpu_never_ends_the_process() -> None:
    program = """
import torch
from visionserve.runtime.machine import device
device.end_process_if_dead(torch.device("cpu"))
"""
    assert run(program) == 0


class TestOnGpu:
    pytestmark = on_gpu

    def test_out_of_memory_leaves_the_process_alive(self) -> None:
        with pytest.raises(torch.OutOfMemoryError) as caught:
            torch.empty(1 << 50, dtype=torch.uint8, device="cuda")
        assert device.is_out_of_memory(caught.value)
        device.end_process_if_dead(torch.device("cuda", 0))

    def test_a_device_side_assert_ends_the_process(self) -> None:
        program = """
import torch
from visionserve.runtime.machine import device
on = torch.device("cuda", 0)
try:
    torch.zeros(4, device=on)[torch.tensor([9], device=on)].cpu()
except Exception:
    device.end_process_if_dead(on)
"""
        assert run(program) == 70
