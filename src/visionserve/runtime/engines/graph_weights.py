"""The weights of a graph as parts of a checkpoint: what a graph's runtime reads, told by where it comes from.

A part is a list in an archive's JSON:

    ["bytes", BASE64]                   itself
    ["tensor", KEY]                     a tensor of the state dict
    ["rows", KEY, FROM, TO]             some of its rows
    ["weight", CONVOLUTION, NORM, EPS]  a convolution's weight with the batch norm behind it folded in
    ["bias", CONVOLUTION, NORM, EPS]    the bias that this makes
    ["constant", FROM, TO]              bytes of the constants that travel beside the graph
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np
from torch.nn.utils.fusion import fuse_conv_bn_weights

from visionserve.runtime.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt
    import torch

Part = list[Any]


def arrays(
    parts: Sequence[Part], state_dict: Mapping[str, torch.Tensor], constants: bytes
) -> Iterator[npt.NDArray[Any]]:
    """Each part's values: float32, or uint8 where they are bytes.

    Args:
        parts: As above.
        state_dict: The checkpoint, in fp32.
        constants: What the constants are parts of.

    Raises:
        EngineError: The state dict lacks a tensor that a part names, or a part is none.
    """
    for part in parts:
        try:
            yield _array(part, state_dict, constants)
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise EngineError(f"the archive's graph wants weights {part[:2]}, which cannot be had") from error


def folded(
    state_dict: Mapping[str, torch.Tensor], convolution: str, norm: str, eps: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """A convolution's weight and bias with the batch norm behind it folded in, as torch folds them.

    Args:
        state_dict: The checkpoint, in fp32.
        convolution: The convolution's name.
        norm: The batch norm's name.
        eps: The batch norm's own.

    Raises:
        KeyError: The state dict lacks one of their tensors.
    """
    weight, bias = fuse_conv_bn_weights(
        state_dict[f"{convolution}.weight"],
        state_dict.get(f"{convolution}.bias"),
        state_dict[f"{norm}.running_mean"],
        state_dict[f"{norm}.running_var"],
        eps,
        state_dict.get(f"{norm}.weight"),
        state_dict.get(f"{norm}.bias"),
    )
    return weight.detach(), bias.detach()


def _array(part: Part, state_dict: Mapping[str, torch.Tensor], constants: bytes) -> npt.NDArray[Any]:
    match part:
        case ["bytes", text]:
            return np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
        case ["tensor", key]:
            return state_dict[key].numpy()
        case ["rows", key, start, end]:
            return state_dict[key][start:end].numpy()
        case ["weight", convolution, norm, eps]:
            return folded(state_dict, convolution, norm, eps)[0].numpy()
        case ["bias", convolution, norm, eps]:
            return folded(state_dict, convolution, norm, eps)[1].numpy()
        case ["constant", start, end]:
            return np.frombuffer(constants, np.uint8)[start:end]
        case _:
            raise ValueError(part)
