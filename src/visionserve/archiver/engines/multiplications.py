"""How many multiplications a network takes, and how many of them Winograd's algorithm does with fewer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

_TAPS = 9  # of a 3x3 kernel


@dataclass(frozen=True)
class Multiplications:
    """Those that direct convolution takes for one picture.

    Attributes:
        total: All of them.
        winograd: Those in convolutions that Winograd's algorithm computes: 3x3, of stride 1, neither dilated nor
            in groups.
    """

    total: int
    winograd: int

    @property
    def share(self) -> float:
        """The part of all that Winograd's algorithm does with fewer, from 0 to 1."""
        return self.winograd / self.total if self.total else 0.0


def count(network: nn.Module, side: int) -> Multiplications:
    """Run a network once and count.

    Args:
        network: In eval mode, on the CPU.
        side: The side of its input, in pixels.
    """
    counted: list[int] = []

    def add(layer: nn.Conv2d, _inputs: Any, output: torch.Tensor) -> None:
        counted.append(output.numel() * layer.in_channels * _TAPS)

    fast = torch.backends.mha.get_fastpath_enabled()
    hooks = [layer.register_forward_hook(add) for layer in network.modules() if _suits(layer)]
    try:
        torch.backends.mha.set_fastpath_enabled(False)  # for it is counted as nothing
        with FlopCounterMode(display=False) as flops, torch.inference_mode():
            network(torch.zeros(1, 3, side, side))
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for hook in hooks:
            hook.remove()
    return Multiplications(flops.get_total_flops() // 2, sum(counted))


def _suits(layer: nn.Module) -> bool:
    if not isinstance(layer, nn.Conv2d):
        return False
    shape = (layer.kernel_size, layer.stride, layer.dilation)
    return shape == ((3, 3), (1, 1), (1, 1)) and layer.groups == 1
