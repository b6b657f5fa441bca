"""Weights files as people save them, to one clean state dict on the CPU.

bytes -> serialization.load -> the dict of tensors in it -> wrapper prefixes removed -> checked
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from visionserve.archiver.errors import UntrustedPickle
from visionserve.archiver.weights import serialization, trusted
from visionserve.archiver.weights.serialization import printable
from visionserve.runtime.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

# The endings of what a state dict holds besides trained numbers.
UNTRAINED = (
    "running_mean",
    "running_var",
    "num_batches_tracked",
    "relative_position_index",
    "relative_coords_table",
)

# Where training scripts put the state dict, most usual first.
_KEYS = ("model_state_dict", "state_dict", "model", "net")
_DEPTH = 2
# What wrappers put before every key: DataParallel, torch.compile, and modules that hold the network as a member.
_PREFIXES = ("module.", "_orig_mod.", "model.", "backbone.")
# The one entry of torch.optim.swa_utils.AveragedModel (torchvision's EMA) that is no weight.
_AVERAGED = "n_averaged"
_LISTED = 5


@dataclass(frozen=True)
class Checkpoint:
    """What a weights file holds.

    Attributes:
        path: The file.
        format: How it was saved.
        state_dict: Its tensors on the CPU in the number format they were saved in, by the network's own names.
        key: Where they were in the file, such as `model_state_dict`; empty when they were all there was.
        prefix: What was removed from the front of every name.
        facts: The numbers and texts beside the weights, such as `epoch` and `loss`.
        trusted: Whether the file was unpickled, by the user's leave.
    """

    path: Path
    format: serialization.Format
    state_dict: dict[str, torch.Tensor] = field(repr=False)
    key: str = ""
    prefix: str = ""
    facts: Mapping[str, int | float | str] = field(default_factory=dict)
    trusted: bool = False

    @property
    def parameters(self) -> int:
        """Trained numbers: every element but those of batch norm's statistics and of integer tables."""
        return sum(
            tensor.numel()
            for name, tensor in self.state_dict.items()
            if tensor.is_floating_point() and not name.endswith(UNTRAINED)
        )

    @property
    def dtypes(self) -> dict[str, int]:
        """How many tensors there are of each dtype, most first."""
        counts = Counter(str(tensor.dtype).removeprefix("torch.") for tensor in self.state_dict.values())
        return dict(counts.most_common())

    @property
    def is_plain(self) -> bool:
        """Whether the file is exactly `torch.save(float32_state_dict, path)`, so nothing has to be changed."""
        floats = {tensor.dtype for tensor in self.state_dict.values() if tensor.is_floating_point()}
        return (
            self.format == "torch.save (zip)"
            and not (self.key or self.prefix or self.facts or self.trusted)
            and floats <= {torch.float32}
        )

    def describe(self) -> str:
        """What the file is, in a few words."""
        parts = [self.format if not self.trusted else f"unpickled {self.format}"]
        parts += [f"'{self.key}'"] if self.key else []
        parts += [f"{name} {value}" for name, value in self.facts.items() if name == "epoch"]
        parts += [f"prefix '{self.prefix}' removed"] if self.prefix else []
        parts += [f"{count} x {dtype}" for dtype, count in self.dtypes.items()]
        return ", ".join(parts)

    def float32(self) -> dict[str, torch.Tensor]:
        """The state dict with every floating-point tensor as float32; those that are already are not copied.

        Raises:
            WeightsError: A float64 value is too large for float32.
        """
        converted = {
            name: tensor.float() if tensor.is_floating_point() else tensor
            for name, tensor in self.state_dict.items()
        }
        _require_finite(self.path, {k: v for k, v in converted.items() if v is not self.state_dict[k]})
        return converted


def read(path: Path, key: str | None = None, *, trust_pickle: bool = False) -> Checkpoint:
    """Read a weights file in any of the forms; nothing in it is executed.

    Args:
        path: The file.
        key: Where in the file the state dict is, dotted (`model_ema`, `ema.module`); found by itself if None.
        trust_pickle: Unpickle a file that holds other objects, in a separate process, and keep its tensors.

    Raises:
        UntrustedPickle: The file holds objects other than tensors and is not trusted.
        WeightsError: It cannot be read, is damaged, holds no state dict or several, or values that are NaN.
    """
    kind = serialization.detect(path)
    unpickled = False
    try:
        document = serialization.load(path, kind)
    except UntrustedPickle:
        if not trust_pickle:
            raise
        document = trusted.load(path)
        unpickled = True
    place, found = _locate(path, document, key)
    state_dict, prefix = _without_prefix(_tensors(path, found))
    _require_real(path, state_dict)
    _require_finite(path, state_dict)
    facts = dict(_facts(document)) if place and isinstance(document, dict) else {}
    return Checkpoint(path, kind, state_dict, place, prefix, facts, unpickled)


def _locate(path: Path, document: object, key: str | None) -> tuple[str, dict[Any, Any]]:
    if not isinstance(document, dict):
        raise WeightsError(
            f"{path}: holds a {type(document).__name__}, not a state dict; save model.state_dict() instead"
        )
    if key is not None:
        return key, _at(path, document, key)
    candidates = dict(_candidates(document, ""))
    if "" in candidates:
        return "", document
    averaged = [place for place in candidates if "ema" in place.lower()]
    ranked = sorted((_rank(place), place) for place in candidates if place not in averaged)
    if not ranked:
        if averaged:
            raise WeightsError(
                f"{path}: holds only averaged weights, at '{averaged[0]}'; ask for them by that key"
            )
        keys = ", ".join(printable(str(name), 40) for name in list(document)[:_LISTED]) or "nothing"
        raise WeightsError(f"{path}: holds no state dict of tensors; its keys are {keys}")
    best = [place for rank, place in ranked if rank == ranked[0][0]]
    if len(best) > 1:
        names = ", ".join(f"'{printable(place, 40)}'" for place in best[:_LISTED])
        raise WeightsError(f"{path}: holds {len(best)} state dicts, at {names}; name the one to take by its key")
    return best[0], candidates[best[0]]


def _candidates(document: Mapping[Any, Any], place: str, depth: int = 0) -> Iterator[tuple[str, dict[Any, Any]]]:
    """Every dict of tensors at most `_DEPTH` levels down; the outermost counts if it holds tensors only."""
    if isinstance(document, dict) and document and all(isinstance(v, torch.Tensor) for v in document.values()):
        yield place, document
    elif depth < _DEPTH:
        for name, value in document.items():
            if isinstance(name, str) and isinstance(value, dict):
                yield from _candidates(value, f"{place}.{name}" if place else name, depth + 1)


def _rank(place: str) -> int:
    return min((_KEYS.index(part) for part in place.split(".") if part in _KEYS), default=len(_KEYS))


def _at(path: Path, document: dict[Any, Any], key: str) -> dict[Any, Any]:
    value: Any = document
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if not isinstance(value, dict) or not any(isinstance(item, torch.Tensor) for item in value.values()):
        places = ", ".join(f"'{printable(place, 40)}'" for place, _ in _candidates(document, "") if place)
        raise WeightsError(f"{path}: has no state dict at '{key}'; there are {places or 'none'}")
    return value


def _tensors(path: Path, found: Mapping[Any, Any]) -> dict[str, torch.Tensor]:
    tensors = {}
    for name, tensor in found.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            raise WeightsError(
                f"{path}: entry {printable(repr(name), 60)} is a {type(tensor).__name__}, not a named tensor"
            )
        tensors[name] = tensor.detach()
    return tensors


def _without_prefix(tensors: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], str]:
    removed = ""
    if _AVERAGED in tensors and all(name.startswith("module.") for name in tensors if name != _AVERAGED):
        tensors = {name: tensor for name, tensor in tensors.items() if name != _AVERAGED}
    while tensors:
        prefix = next((p for p in _PREFIXES if all(name.startswith(p) for name in tensors)), None)
        if prefix is None:
            break
        tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
        removed += prefix
    return tensors, removed


def _require_real(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    for name, tensor in tensors.items():
        shown = printable(name, 80)
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex() or tensor.is_meta:
            kind = str(tensor.dtype if tensor.layout == torch.strided else tensor.layout).removeprefix("torch.")
            raise WeightsError(f"{path}: '{shown}' is {kind}; only ordinary tensors of real numbers are served")
        # With a damaged stride a few stored bytes stand for any number of values, too many to read.
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise WeightsError(f"{path}: '{shown}' claims {tensor.numel()} values, more than the file stores")


def _require_finite(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or tensor.numel() == 0:
            continue
        # aminmax needs no copy of the tensor and gives NaN if any value is NaN; 8-bit floats lack it.
        values = tensor if tensor.element_size() > 1 else tensor.float()
        low, high = values.aminmax()
        if not (torch.isfinite(low) and torch.isfinite(high)):
            raise WeightsError(
                f"{path}: '{printable(name, 80)}' holds NaN or infinite values; take an earlier checkpoint"
            )


def _facts(document: Mapping[Any, Any]) -> Iterator[tuple[str, int | float | str]]:
    for name, value in document.items():
        if isinstance(name, str) and isinstance(value, (int, float, str)):
            yield printable(name, 40), printable(value) if isinstance(value, str) else value
        elif isinstance(name, str) and isinstance(value, torch.Tensor) and value.numel() == 1 and value.dim() == 0:
            yield printable(name, 40), value.item()
