"""Which architecture a state dict belongs to, and how it is brought to the form that architecture loads.

Class count, image size and old key names are read from the weights, so a fine-tuned network needs no setting.
"""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torchvision

from visionserve.archiver.weights.checkpoints import UNTRAINED
from visionserve.runtime import network
from visionserve.runtime.errors import SpecError, WeightsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# A class count that is no other dimension of any network: where it turns up in a shape is the head.
_PROBE = 1013
# What torchvision's own loaders rename: `_load_state_dict` in densenet.py, `MLPBlock` in vision_transformer.py.
_RENAMED = (
    (re.compile(r"(.*denselayer\d+\.(?:norm|conv))\.([12]\.\w+)"), r"\1\2"),
    (re.compile(r"(.*\.mlp)\.linear_1\.(\w+)"), r"\1.0.\2"),
    (re.compile(r"(.*\.mlp)\.linear_2\.(\w+)"), r"\1.3.\2"),
)
# Heads that only training uses, of GoogLeNet and Inception.
_AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
_COUNTER = ".num_batches_tracked"
_SUGGESTED = 4
_IMAGENET = 1000  # classes


@dataclass(frozen=True)
class Fitted:
    """A state dict in the form that its architecture loads.

    Attributes:
        state_dict: float32 tensors by the network's own names, in its order.
        classes: The head's class count.
        unchanged: Whether names and number of the tensors are those of the file.
        note: What was taken for granted, for the user to judge; empty when nothing was.
    """

    state_dict: dict[str, torch.Tensor]
    classes: int
    unchanged: bool
    note: str = ""


@dataclass(frozen=True)
class Candidate:
    """An architecture whose shapes a state dict has.

    Attributes:
        architecture: Its torchvision name.
        classes: The head's class count.
    """

    architecture: str
    classes: int


def options(architecture: str, side: int) -> dict[str, Any]:
    """The constructor arguments that torchvision's own loaders set for pretrained weights.

    Args:
        architecture: A torchvision classifier or one's own.
        side: The side of the network's input, in pixels.
    """
    if architecture in ("googlenet", "inception_v3"):
        return {"aux_logits": False, "init_weights": False, "transform_input": True}
    if architecture.startswith("vit_"):
        return {"image_size": side}
    if architecture.startswith("maxvit_"):
        return {"input_size": [side, side]}
    return {}


def fit(architecture: str, arguments: Mapping[str, Any], state_dict: Mapping[str, torch.Tensor]) -> Fitted:
    """Bring a state dict to the form that an architecture loads.

    Args:
        architecture: A torchvision classifier or one's own.
        arguments: Its constructor's further arguments.
        state_dict: Tensors by name, as the file has them.

    Raises:
        SpecError: There is no such architecture, or its head does not follow `num_classes`.
        WeightsError: It is another architecture's; the message says which would fit.
    """
    shapes = _shapes(architecture, arguments)
    if not any(_PROBE in shape for shape in shapes.values()):
        raise SpecError(f"{architecture} builds the same network whatever num_classes is; its head must follow it")
    try:
        return _fit(architecture, shapes, state_dict)
    except WeightsError as error:
        side = image_side(state_dict)
        if side is not None and side != arguments.get("image_size", side):
            fits = {candidate.architecture for candidate in candidates(state_dict)}
            if architecture in fits:
                raise WeightsError(
                    f"the weights are those of a {architecture} for {side}x{side} pictures, not"
                    f" {arguments['image_size']}x{arguments['image_size']}: set handler.input.crop to {side}"
                ) from error
        raise WeightsError(f"{error}; {_would_fit(candidates(state_dict))}") from error


def candidates(state_dict: Mapping[str, torch.Tensor]) -> list[Candidate]:
    """Every torchvision classifier that has the names and shapes of this state dict, with its class count."""
    likely = _of_size(state_dict)
    return _candidates(likely, state_dict) or _candidates(
        [name for name in network.names() if name not in likely], state_dict
    )


def _candidates(names: Sequence[str], state_dict: Mapping[str, torch.Tensor]) -> list[Candidate]:
    found = []
    for name in names:
        side = image_side(state_dict) if name.startswith("vit_") else None
        try:
            fitted = _fit(name, _torchvision_shapes(name, side), state_dict)
        except (SpecError, WeightsError):
            continue
        found.append(Candidate(name, fitted.classes))
    return found


def _of_size(state_dict: Mapping[str, torch.Tensor]) -> list[str]:
    """The architectures with as many parameters as this state dict outside its last layer.

    torchvision publishes the counts, so only these few need to be built; where it counts differently, none is.
    """
    trained = {name: tensor for name, tensor in state_dict.items() if not name.endswith(UNTRAINED)}
    head = next((name for name in reversed(trained) if trained[name].dim() > 1), None)
    if head is None:
        return []
    bias = head.removesuffix("weight") + "bias" in trained
    per_class = trained[head].numel() // max(trained[head].shape[0], 1) + bias
    body = sum(tensor.numel() for tensor in trained.values()) - trained[head].shape[0] * per_class
    return [
        name
        for name in network.names()
        if body == torchvision.models.get_model_weights(name).DEFAULT.meta["num_params"] - _IMAGENET * per_class
    ]


def _fit(architecture: str, shapes: Mapping[str, tuple[int, ...]], given: Mapping[str, torch.Tensor]) -> Fitted:
    renamed = {_current_name(name, shapes): tensor for name, tensor in given.items()}
    if architecture in ("googlenet", "inception_v3"):
        renamed = {k: v for k, v in renamed.items() if k in shapes or not k.startswith(_AUXILIARY)}
    for name in shapes:
        if name.endswith(_COUNTER) and name not in renamed:
            renamed[name] = torch.tensor(0)  # files older than PyTorch 0.4.1 have none, and only training counts
    renamed, note = _unwrap_head(shapes, renamed)
    classes = _classes(shapes, renamed)
    wanted = {
        name: torch.Size(classes if size == _PROBE else size for size in shape) for name, shape in shapes.items()
    }
    network.require_same_shapes(wanted, {name: tensor.shape for name, tensor in renamed.items()}, architecture)
    return Fitted({name: renamed[name] for name in shapes}, classes, set(renamed) == set(given), note)


def _classes(shapes: Mapping[str, tuple[int, ...]], given: Mapping[str, torch.Tensor]) -> int:
    """The size that the head has where its class count stands; 0 if there is no such place."""
    for name, shape in shapes.items():
        if _PROBE in shape and name in given and given[name].dim() == len(shape):
            return given[name].shape[shape.index(_PROBE)]
    return 0


def _current_name(name: str, shapes: Mapping[str, tuple[int, ...]]) -> str:
    if name in shapes:
        return name
    for pattern, replacement in _RENAMED:
        current, count = pattern.subn(replacement, name)
        if count and current in shapes:
            return current
    return name


def _unwrap_head(
    shapes: Mapping[str, tuple[int, ...]], given: dict[str, torch.Tensor]
) -> tuple[dict[str, torch.Tensor], str]:
    """Take `fc.1` for `fc`: people replace the head by `Sequential(Dropout, Linear)`."""
    head = {name for name, shape in shapes.items() if _PROBE in shape and name not in given}
    extra = {name for name in given if name not in shapes}
    inner = {re.sub(r"\.\d+(\.\w+)$", r"\1", name): name for name in extra}
    if not head or head != set(inner) or len(inner) != len(extra):
        return given, ""
    new, old = sorted(inner)[0].rpartition(".")[0], sorted(extra)[0].rpartition(".")[0]
    outer = {old_name: new_name for new_name, old_name in inner.items()}
    note = f"the head '{old}' is served as '{new}', which is right if nothing but Dropout stands beside it"
    return {outer.get(name, name): tensor for name, tensor in given.items()}, note


def image_side(state_dict: Mapping[str, torch.Tensor]) -> int | None:
    """The side in pixels of the pictures that a Vision Transformer is for; None for other networks.

    It has a position for each patch, and one for the class.
    """
    position, patch = state_dict.get("encoder.pos_embedding"), state_dict.get("conv_proj.weight")
    if position is None or patch is None or position.dim() != 3 or patch.dim() != 4:
        return None
    return math.isqrt(max(position.shape[1] - 1, 0)) * patch.shape[-1]


def _would_fit(found: list[Candidate]) -> str:
    if not found:
        return "no torchvision classifier has these shapes"
    shown = ", ".join(f"{c.architecture} with {c.classes} classes" for c in found[:_SUGGESTED])
    return f"they fit {shown}"


def _shapes(architecture: str, arguments: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(tensor.shape)
        for name, tensor in network.build(architecture, _PROBE, arguments).state_dict().items()
    }


@functools.cache
def _torchvision_shapes(name: str, side: int | None) -> dict[str, tuple[int, ...]]:
    return _shapes(name, options(name, side or 224))
