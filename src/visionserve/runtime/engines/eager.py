"""PyTorch as it is: the engine that is always there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.fx.experimental.optimization import fuse

from visionserve.runtime.engines.pixels import FromPixels

if TYPE_CHECKING:
    from visionserve.runtime.engines import Source
    from visionserve.runtime.model import Transform

NAME = "eager"

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class EagerEngine:
    """The network, called; on the CPU or a GPU.

    On a CPU pictures run one by one, so that an answer is the same, bit for bit, whoever shares the batch.
    oneDNN chooses its blocking by the batch size: measured on ResNet-50 and VGG-16, the same picture's logits
    differ by up to 5e-5 between batch sizes, and between places in a batch of 5, 6 or 7. It costs a batch of 8
    a quarter of ResNet-50's throughput and a fourteenth of VGG-16's, and a lone request nothing; padding every
    batch to 8 would make a lone request pay for 8. A GPU runs batches whole, where they are most of its speed.
    """

    name = NAME

    def __init__(
        self, network: nn.Module, transform: Transform, device: torch.device, precision: str = "fp32"
    ) -> None:
        """Take over `network`: its weights are converted in place.

        Args:
            network: On `device`, in eval mode.
            transform: How pictures become its input.
            device: Where to run.
            precision: `fp32` or `bf16`.
        """
        self.precision = precision
        converted = network.to(device, _DTYPES[precision], memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._network = FromPixels(converted, transform).eval()
        self._device = device
        self.one_by_one = device.type != "cuda"

    @torch.inference_mode()
    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        """See `Engine.logits`."""
        batches = torch.split(pixels.to(self._device, non_blocking=True), 1 if self.one_by_one else len(pixels))
        return torch.cat([self._network(batch) for batch in batches]).cpu()


def lacks(_source: Source, precision: str) -> str | None:
    """Why this engine cannot run the archive's network here, if it cannot."""
    if precision not in _DTYPES:
        return f"it does not run {precision}"
    return None


def load(source: Source, precision: str) -> EagerEngine:
    """The archive's network, its batch norms folded into its convolutions.

    Raises:
        WeightsError: The weights are damaged or not this network's.
    """
    return EagerEngine(without_batch_norms(source.network()), source.model.transform, source.device, precision)


def without_batch_norms(network: nn.Module) -> nn.Module:
    """The network with each batch norm folded into the convolution before it, where torch.fx can follow it.

    Folding saves a pass over the activations, 1 to 8 % of ResNet-50's time, and moves probabilities by less
    than 1e-5.
    """
    if not any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        return network
    try:
        return fuse(network, inplace=True)
    except Exception:  # a network whose Python torch.fx cannot follow raises whatever that makes it stumble over
        return network
