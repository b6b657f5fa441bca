"""A network from its architecture and its weights: build -> state dict -> device -> eval.

The builder's scripts and the server's worker load through this one function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torchvision

from visionserve.runtime.errors import SpecError, WeightsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import nn


def best_device() -> torch.device:
    """The first GPU if this process can use one, else the CPU."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def build(architecture: str, classes: int) -> nn.Module:
    """A torchvision classifier with its parameters on the meta device: shapes without memory or initialisation.

    Raises:
        SpecError: torchvision has no classifier of that name.
    """
    names = torchvision.models.list_models(module=torchvision.models)
    if architecture not in names:
        raise SpecError(f"torchvision has no classifier '{architecture}'; it has {', '.join(names)}")
    with torch.device("meta"):
        network: nn.Module = torchvision.models.get_model(architecture, weights=None, num_classes=classes)
    return network


def load(
    architecture: str, state_dict: Mapping[str, torch.Tensor], classes: int, device: torch.device
) -> nn.Module:
    """A network ready to answer: every weight set, on `device`, in eval mode.

    Args:
        architecture: A torchvision classifier's name.
        state_dict: float32 tensors, one for every parameter and buffer of the network.
        classes: The number of classes of its head.
        device: Where it is to run.

    Raises:
        SpecError: torchvision has no such classifier.
        WeightsError: The state dict is not this network's; names the first missing, unexpected or misshapen key.
    """
    network = build(architecture, classes)
    _require_same_keys(network.state_dict(), state_dict, architecture)
    network.load_state_dict(dict(state_dict), strict=True, assign=True)
    return network.requires_grad_(False).to(device).eval()


def _require_same_keys(
    wanted: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor], architecture: str
) -> None:
    missing = [key for key in wanted if key not in given]
    unexpected = [key for key in given if key not in wanted]
    if missing or unexpected:
        parts = [
            f"{len(keys)} {kind}, first '{keys[0]}'"
            for kind, keys in (("missing", missing), ("unexpected", unexpected))
            if keys
        ]
        raise WeightsError(f"the weights are not those of {architecture}: keys {'; '.join(parts)}")
    for key, tensor in wanted.items():
        if tensor.shape != given[key].shape:
            raise WeightsError(
                f"the weights are not those of this {architecture}: '{key}' has shape {list(given[key].shape)}"
                f", the network wants {list(tensor.shape)}"
            )


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The state dict in an archive's weights file, on the CPU, mapped from disk rather than copied.

    Raises:
        WeightsError: The file is damaged or holds anything but tensors.
    """
    try:
        state_dict: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise WeightsError(f"{path.name} cannot be read as weights: {_first_line(error)}") from error
    return state_dict


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
