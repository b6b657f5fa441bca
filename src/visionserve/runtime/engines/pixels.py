"""A network that starts from pixels, as every engine runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from visionserve.runtime.model import Transform


class FromPixels(nn.Module):
    """Scales and normalises pixels in fp32, then runs the network in the precision of its weights."""

    def __init__(self, network: nn.Module, transform: Transform) -> None:
        super().__init__()
        self.network = network
        device = next((tensor.device for tensor in network.parameters()), torch.device("cpu"))
        self.mean: torch.Tensor
        self.std: torch.Tensor
        self.register_buffer("mean", _per_channel(transform.mean).to(device))
        self.register_buffer("std", _per_channel(transform.std).to(device))
        self._dtype = next((tensor.dtype for tensor in network.parameters()), torch.float32)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 `[N, H, W, 3]` to float32 `[N, classes]`."""
        # NHWC bytes seen as NCHW are already in channels_last layout: no copy, and convolutions prefer it.
        images = pixels.permute(0, 3, 1, 2).to(torch.float32)
        normalised = (images / 255 - self.mean) / self.std
        logits: torch.Tensor = self.network(normalised.to(self._dtype))
        return logits.float()


def _per_channel(values: Sequence[float]) -> torch.Tensor:
    return torch.tensor(values).view(1, 3, 1, 1)
