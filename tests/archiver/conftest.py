"""Every form people save weights in, written the way they write it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import safetensors.torch
import torch
from torch import nn

if TYPE_CHECKING:
    from pathlib import Path

Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Form:
    """One way of saving a network.

    `dtype` is what its weights are stored as, `key` where they must be asked for, `trust` whether the file holds
    code, `plain` whether the worker can load the file as it is.
    """

    file: str
    save: Callable[[nn.Module, Path], None]
    dtype: torch.dtype = torch.float32
    key: str | None = None
    trust: bool = False
    plain: bool = False


def _prefixed(net: nn.Module, prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + name: tensor for name, tensor in net.state_dict().items()}


def _training(net: nn.Module) -> dict[str, Any]:
    """What a training loop saves beside the weights."""
    head = list(net.parameters())[-2:]
    optimizer = torch.optim.SGD(head, lr=0.0, momentum=0.9)
    sum(parameter.sum() for parameter in head).backward()  # type: ignore[union-attr]
    optimizer.step()
    return {"epoch": 12, "loss": 0.25, "arch": "a network", "optimizer": optimizer.state_dict()}


def _save_state_dict(net: nn.Module, path: Path) -> None:
    torch.save(net.state_dict(), path)


def _save_legacy(net: nn.Module, path: Path) -> None:
    torch.save(net.state_dict(), path, _use_new_zipfile_serialization=False)


def _save_training(net: nn.Module, path: Path) -> None:
    weights = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    torch.save({"model_state_dict": weights, **_training(net)}, path)


def _save_imagenet_example(net: nn.Module, path: Path) -> None:
    torch.save({"state_dict": _prefixed(net, "module."), "epoch": 3, "best_acc1": torch.tensor(75.5)}, path)


def _save_under(*keys: str) -> Callable[[nn.Module, Path], None]:
    def save(net: nn.Module, path: Path) -> None:
        document: Any = net.state_dict()
        for key in reversed(keys):
            document = {key: document, "epoch": 1}
        torch.save(document, path)

    return save


def _save_with_average(net: nn.Module, path: Path) -> None:
    """As torchvision's references do, `AveragedModel` and all; the plain weights are other ones."""
    other = {name: torch.zeros_like(tensor) for name, tensor in net.state_dict().items()}
    average = {"n_averaged": torch.tensor(5), **_prefixed(net, "module.")}
    torch.save({"model": other, "model_ema": average, "epoch": 1}, path)


def _save_prefixed(prefix: str) -> Callable[[nn.Module, Path], None]:
    return lambda net, path: torch.save(_prefixed(net, prefix), path)


def _save_as(dtype: torch.dtype) -> Callable[[nn.Module, Path], None]:
    def save(net: nn.Module, path: Path) -> None:
        torch.save({k: v.to(dtype) if v.is_floating_point() else v for k, v in net.state_dict().items()}, path)

    return save


def _save_on_gpu(*, legacy: bool) -> Callable[[nn.Module, Path], None]:
    """A file as a machine with two GPUs writes it: the location tag is all that differs."""

    def save(net: nn.Module, path: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.serialization, "location_tag", lambda _storage: "cuda:1")
            torch.save(net.state_dict(), path, _use_new_zipfile_serialization=not legacy)
        assert b"cuda:1" in path.read_bytes()

    return save


def save_scripted(net: nn.Module, path: Path, *, frozen: bool = False) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and its files are still about
        scripted: Any = torch.jit.script(net.eval())
        (torch.jit.freeze(scripted) if frozen else scripted).save(path)


def _save_traced(net: nn.Module, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trace: Any = torch.jit.trace
        trace(net.eval(), torch.zeros(1, 3, 64, 64)).save(path)


def _save_safetensors(net: nn.Module, path: Path) -> None:
    safetensors.torch.save_file(dict(net.state_dict()), path)


def _save_parallel(net: nn.Module, path: Path) -> None:
    torch.save(nn.DataParallel(net), path)


FORMS = {
    "state dict": Form("weights.pth", _save_state_dict, plain=True),
    "state dict, legacy": Form("weights.pt", _save_legacy),
    "state dict in .tar": Form("weights.tar", _save_state_dict, plain=True),
    "training checkpoint": Form("checkpoint.pt", _save_training),
    "DataParallel checkpoint": Form("model_best.pth.tar", _save_imagenet_example),
    "under model": Form("weights.pth", _save_under("model")),
    "under net": Form("weights.pth", _save_under("net")),
    "two levels down": Form("weights.pth", _save_under("state", "model_state_dict")),
    "under a name of one's own": Form("weights.pth", _save_under("classifier")),
    "averaged weights": Form("weights.pth", _save_with_average, key="model_ema"),
    "DataParallel": Form("weights.pth", _save_prefixed("module.")),
    "compiled": Form("weights.pth", _save_prefixed("_orig_mod.")),
    "model.": Form("weights.pth", _save_prefixed("model.")),
    "backbone.": Form("weights.pth", _save_prefixed("backbone.")),
    "stacked prefixes": Form("weights.pth", _save_prefixed("module._orig_mod.model.backbone.")),
    "fp16": Form("weights.pth", _save_as(torch.float16), dtype=torch.float16),
    "bf16": Form("weights.pth", _save_as(torch.bfloat16), dtype=torch.bfloat16),
    "saved on a GPU": Form("weights.pth", _save_on_gpu(legacy=False), plain=True),
    "saved on a GPU, legacy": Form("weights.pth", _save_on_gpu(legacy=True)),
    "TorchScript, scripted": Form("weights.pt", save_scripted),
    "TorchScript, traced": Form("weights.pt", _save_traced),
    "safetensors": Form("weights.safetensors", _save_safetensors),
    "whole model": Form("model.pth", lambda net, path: torch.save(net, path), trust=True),
    "whole DataParallel, legacy": Form("model.pth", _save_parallel, trust=True),
}


@pytest.fixture(params=sorted(FORMS))
def form(request: pytest.FixtureRequest) -> Form:
    """Each of the forms in turn."""
    return FORMS[request.param]
