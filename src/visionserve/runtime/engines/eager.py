"""PyTorch as it is: the reference that every other engine is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import nn

    from visionserve.runtime.spec import InputSpec


class EagerEngine:
    """The network, called; pixels become floats on its device."""

    name = "eager"

    def __init__(self, network: nn.Module, transform: InputSpec, device: torch.device) -> None:
        self._network = network.to(memory_format=torch.channels_last)
        self._device = device
        self._mean = torch.tensor(transform.mean, device=device).view(1, 3, 1, 1)
        self._std = torch.tensor(transform.std, device=device).view(1, 3, 1, 1)

    @torch.inference_mode()
    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        """See `Engine.logits`."""
        # NHWC bytes seen as NCHW are already in channels_last layout: no copy, and convolutions prefer it.
        images = pixels.to(self._device, non_blocking=True).permute(0, 3, 1, 2)
        normalised = images.to(torch.float32).div_(255).sub_(self._mean).div_(self._std)
        logits: torch.Tensor = self._network(normalised)
        return logits.float().cpu()
