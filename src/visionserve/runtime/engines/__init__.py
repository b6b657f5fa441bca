"""What runs a network: one file each, one interface.

An engine takes pixels and gives logits; scaling and normalising happen inside, where they are cheapest.
`selection` picks one. Only an engine's own file imports its library, and only when it is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from visionserve.runtime import network

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch
    from torch import nn

    from visionserve.runtime.model import Model


class Engine(Protocol):
    """Runs one network on one device.

    Attributes:
        name: Its name in a model's YAML.
        precision: What it computes in: `fp32`, `bf16` or `int8`.
        one_by_one: Whether it runs a batch picture by picture, so that all batch sizes are alike.
    """

    name: str
    precision: str
    one_by_one: bool

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        """Answer a batch.

        Args:
            pixels: uint8 `[N, H, W, 3]` on the CPU, RGB, at the network's input size.

        Returns:
            float32 `[N, classes]` on the CPU.
        """
        ...


@dataclass(frozen=True)
class Source:
    """What engines are made from: an unpacked archive, and where to run it.

    Attributes:
        folder: The unpacked archive.
        model: What it serves.
        device: Where to run.
        threads: How many threads to use.
    """

    folder: Path
    model: Model
    device: torch.device
    threads: int

    def state_dict(self) -> Mapping[str, torch.Tensor]:
        """The archive's weights, mapped from disk.

        Raises:
            WeightsError: They are damaged.
        """
        return network.read_weights(self.folder / self.model.weights)

    def network(self) -> nn.Module:
        """The network with its weights, on the device.

        Raises:
            WeightsError: The weights are damaged or not this network's.
        """
        model = self.model
        return network.load(model.architecture, model.options, self.state_dict(), len(model.labels), self.device)
