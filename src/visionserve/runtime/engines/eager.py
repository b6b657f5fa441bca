"""PyTorch as it is: the reference that every other engine is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import nn

    from visionserve.runtime.spec import InputSpec


class EagerEngine:
    """The network, called; pixels become floats on its device.

    On a CPU pictures run one by one, so that an answer is the same, bit for bit, whoever shares the batch.
    oneDNN chooses its blocking by the batch size: measured on ResNet-50 and VGG-16, the same picture's logits
    differ by up to 5e-5 between batch sizes, and between places in a batch of 5, 6 or 7. It costs a batch of 8
    a fifth of its throughput, and a lone request nothing; padding every batch to 8 would make a lone request
    pay for 8. A GPU runs batches whole, for there they are most of the throughput.
    """

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
        together = len(pixels) if self._device.type == "cuda" else 1
        logits = torch.cat([self._network(batch) for batch in torch.split(normalised, together)])
        return logits.float().cpu()
