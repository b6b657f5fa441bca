"""What runs a network: one file each, one interface.

An engine takes pixels and gives logits; scaling and normalising happen inside, where they are cheapest.
`selection` picks one. Only an engine's own file imports its library, and only when it is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from visionserve.runtime import network
from visionserve.runtime.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch
    from torch import nn

    from visionserve.runtime.spec import HandlerSpec, InputSpec


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
        spec: Its model.
        classes: The number of classes.
        device: Where to run.
        threads: How many threads to use.
    """

    folder: Path
    spec: HandlerSpec
    classes: int
    device: torch.device
    threads: int

    @property
    def transform(self) -> InputSpec:
        """How pictures become the network's input."""
        if self.spec.input is None:
            raise SpecError("handler.input is missing; build the archive again")
        return self.spec.input.complete()

    def state_dict(self) -> Mapping[str, torch.Tensor]:
        """The archive's weights, mapped from disk.

        Raises:
            SpecError: The archive names no weights.
            WeightsError: They are damaged.
        """
        if self.spec.weights is None:
            raise SpecError("handler.weights is missing; build the archive again")
        return network.read_weights(self.folder / self.spec.weights)

    def network(self) -> nn.Module:
        """The network with its weights, on the device.

        Raises:
            WeightsError: The weights are damaged or not this network's.
        """
        return network.load(self.spec, self.state_dict(), self.classes, self.device)
