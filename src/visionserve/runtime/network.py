"""A network from its architecture and its weights: build -> state dict -> device -> eval.

The builder's scripts and the server's worker load through this one function.
"""

from __future__ import annotations

import importlib
import operator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from visionserve.runtime.errors import SpecError, WeightsError, first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


def names() -> list[str]:
    """Every torchvision classifier."""
    import torchvision  # it takes two seconds, and an engine with a graph of its own needs no torchvision

    return [str(name) for name in torchvision.models.list_models(module=torchvision.models)]


def is_custom(architecture: str) -> bool:
    """Whether an architecture is a function of one's own, `package.module:function`."""
    return ":" in architecture


def build(architecture: str, classes: int, options: Mapping[str, Any]) -> nn.Module:
    """A classifier without weights.

    The parameters of a torchvision classifier are on the meta device: shapes without memory or initialisation.
    Its buffers are real, for some are computed when it is built and are in no state dict.

    Args:
        architecture: A torchvision classifier's name or `package.module:function`.
        classes: The classes of its head.
        options: Further arguments of its constructor.

    Raises:
        SpecError: There is no such architecture, or it does not take these options.
    """
    construct = _custom(architecture) if is_custom(architecture) else _torchvision(architecture)
    try:
        network = construct(num_classes=classes, **options)
    except SpecError:
        raise
    except Exception as error:  # constructors complain in their own ways, asserts among them
        given = ", ".join(f"{name}={value!r}" for name, value in options.items())
        raise SpecError(
            f"{architecture} cannot be built with {given or 'no options'}: {first_line(error)}"
        ) from error
    if not isinstance(network, nn.Module):
        raise SpecError(f"{architecture} made a {type(network).__name__}; it must return a torch.nn.Module")
    return network


def load(
    architecture: str,
    options: Mapping[str, Any],
    state_dict: Mapping[str, torch.Tensor],
    classes: int,
    device: torch.device,
) -> nn.Module:
    """A network ready to answer: every weight set, on `device`, in eval mode.

    Args:
        architecture: A torchvision classifier's name or `package.module:function`.
        options: Further arguments of its constructor.
        state_dict: float32 tensors, one for every parameter and buffer of the network.
        classes: The number of classes of its head.
        device: Where it is to run.

    Raises:
        SpecError: There is no such architecture, or it does not take these options.
        WeightsError: The state dict is not this network's; names the first missing, unexpected or misshapen key,
            or one of whole numbers where the network has fractions.
    """
    network = build(architecture, classes, options)
    wanted = network.state_dict()
    require_same_shapes(_shapes(wanted), _shapes(state_dict), architecture)
    _require_same_kinds(wanted, state_dict)
    given = dict(state_dict)
    # Without it modules take the state dict for one of their first version, and MNASNet then rebuilds its stem.
    current = type(wanted)(given)
    current._metadata = wanted._metadata  # type: ignore[attr-defined]
    network.load_state_dict(current, strict=True, assign=True)
    return network.requires_grad_(False).to(device).eval()


def require_same_shapes(
    wanted: Mapping[str, torch.Size], given: Mapping[str, torch.Size], architecture: str
) -> None:
    """Refuse a state dict that is not one of this network.

    Args:
        wanted: The shapes of the network's own state dict, by name.
        given: Those of the one to load.
        architecture: The network's name, for the message.

    Raises:
        WeightsError: Names the first missing, unexpected or misshapen key.
    """
    missing = [key for key in wanted if key not in given]
    unexpected = [key for key in given if key not in wanted]
    if missing or unexpected:
        parts = [
            f"{len(keys)} {kind}, first '{keys[0]}'"
            for kind, keys in (("missing", missing), ("unexpected", unexpected))
            if keys
        ]
        raise WeightsError(f"the weights are not those of {architecture}: keys {'; '.join(parts)}")
    for key, shape in wanted.items():
        if shape != given[key]:
            raise WeightsError(
                f"the weights are not those of this {architecture}: '{key}' has shape {list(given[key])}"
                f", the network wants {list(shape)}"
            )


def _require_same_kinds(wanted: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor]) -> None:
    for key, tensor in wanted.items():
        if tensor.is_floating_point() and not given[key].is_floating_point():
            kind = str(given[key].dtype).removeprefix("torch.")
            raise WeightsError(f"'{key}' is {kind}, where the network has fractions; save float32 weights")


def _shapes(state_dict: Mapping[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in state_dict.items()}


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The state dict in an archive's weights file, on the CPU, mapped from disk rather than copied.

    Raises:
        WeightsError: The file is damaged or holds anything but tensors.
    """
    try:
        state_dict: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise WeightsError(f"{path.name} cannot be read as weights: {first_line(error)}") from error
    return state_dict


def _torchvision(architecture: str) -> Callable[..., Any]:
    if architecture not in names():
        raise SpecError(
            f"torchvision has no classifier '{architecture}'; it has {', '.join(names())}"
            "; one of your own is named 'package.module:function'"
        )

    import torchvision

    def construct(**arguments: Any) -> Any:
        # torch.device("meta") would also take the numbers that RegNet computes its widths from.
        hook = register_module_parameter_registration_hook(_without_values)
        try:
            return torchvision.models.get_model(architecture, weights=None, **arguments)
        finally:
            hook.remove()

    return construct


def _without_values(_module: nn.Module, _name: str, parameter: nn.Parameter | None) -> Any:
    return None if parameter is None else nn.Parameter(parameter.to("meta"), requires_grad=False)


def _custom(architecture: str) -> Callable[..., Any]:
    module_name, _, function_name = architecture.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), *function_name.split("."))):
        raise SpecError(f"architecture '{architecture}' is not of the form 'package.module:function'")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise SpecError(
            f"architecture '{architecture}': {error}; it is imported from the project's folder"
        ) from error
    try:
        function = operator.attrgetter(function_name)(module)
    except AttributeError:
        function = None
    if not callable(function):
        raise SpecError(f"architecture '{architecture}': module {module_name} has no function '{function_name}'")
    return function  # type: ignore[no-any-return]
