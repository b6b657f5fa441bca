"""What runs a network: one file each, one interface.

An engine takes pixels and gives logits; scaling and normalising happen inside, where they are cheapest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from visionserve.runtime.engines.eager import EagerEngine

if TYPE_CHECKING:
    import torch
    from torch import nn

    from visionserve.runtime.spec import HandlerSpec, InputSpec


class Engine(Protocol):
    """Runs one network on one device."""

    name: str

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        """Answer a batch.

        Args:
            pixels: uint8 `[N, H, W, 3]` on the CPU, RGB, at the network's input size.

        Returns:
            float32 `[N, classes]` on the CPU.
        """
        ...


def make(spec: HandlerSpec, network: nn.Module, transform: InputSpec, device: torch.device) -> Engine:
    """The engine that `spec.engine` names, running `network` on `device`."""
    engines = {"eager": EagerEngine}
    return engines[spec.engine](network, transform, device)
