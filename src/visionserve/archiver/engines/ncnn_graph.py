"""A network as ncnn's graph, converted by pnnx, with its weights told as parts of the checkpoint."""

from __future__ import annotations

import base64
import hashlib
import json
import signal
import subprocess
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from visionserve.runtime.engines import graph_weights, ncnn
from visionserve.runtime.engines.eager import without_batch_norms
from visionserve.runtime.errors import EngineError, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from visionserve.runtime.engines.graph_weights import Part
    from visionserve.runtime.model import Transform

_SECONDS = 600.0  # for pnnx; a VGG-16 takes it some twenty
# Fewer bytes than this are told by themselves: a layer's marks, a short bias.
_SHORT = 64
_PROJECTIONS = 3  # query, key and value, which attention keeps in one tensor


def members(network: nn.Module, transform: Transform) -> dict[str, bytes]:
    """What an archive carries for ncnn; the same network gives the same bytes.

    Args:
        network: In eval mode, on the CPU, in fp32; it is changed in place.
        transform: How pictures become its input.

    Raises:
        EngineError: ncnn or pnnx is not installed, or they cannot take this network.
    """
    if not ncnn.is_installed() or find_spec("pnnx") is None:
        raise EngineError("engine ncnn is not installed here, so the archive cannot use it: pip install ncnn pnnx")
    state_dict = {key: tensor for key, tensor in network.state_dict().items() if tensor.is_floating_point()}
    norms = {name: each.eps for name, each in network.named_modules() if isinstance(each, nn.BatchNorm2d)}
    fused = without_batch_norms(network)
    graph, weights = _converted(fused, transform.crop)
    read: list[int] = []
    ncnn.net(graph, [np.frombuffer(weights, np.uint8)], 1, read)
    known = dict(_known(state_dict, norms, fused))
    parts, constants = _parts(weights, read, known)
    made = {
        ncnn.GRAPH_FILE: graph.encode(),
        ncnn.WEIGHTS_FILE: json.dumps(parts, separators=(",", ":")).encode(),
    }
    return {**made, ncnn.CONSTANTS_FILE: constants} if constants else made


def _converted(network: nn.Module, side: int) -> tuple[str, bytes]:
    """The graph of a network, and the weights that it reads."""
    import pnnx

    with tempfile.TemporaryDirectory(prefix="visionserve-") as folder, torch.inference_mode():
        path = Path(folder) / "network.pt"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # TorchScript is deprecated, and what pnnx reads
                trace: Any = torch.jit.trace
                trace(network, torch.zeros(1, 3, side, side), check_trace=False).save(str(path))
        except Exception as error:  # torch raises whatever it stumbles over in a network's Python
            raise EngineError(f"engine ncnn: torch cannot trace this network: {first_line(error)}") from error
        try:
            ended = subprocess.run(
                [pnnx.EXEC_PATH, path.name, f"inputshape=[1,3,{side},{side}]f32", "fp16=0"],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EngineError(f"engine ncnn: pnnx does not run: {error}") from error
        graph, weights = (path.with_suffix(f".ncnn.{kind}") for kind in ("param", "bin"))
        if ended.returncode != 0 or not graph.exists() or not weights.exists():
            raise EngineError(f"engine ncnn cannot take this network: pnnx {_end(ended)}")
        return graph.read_text(encoding="utf-8"), weights.read_bytes()


def _known(
    state_dict: Mapping[str, torch.Tensor], norms: Mapping[str, float], fused: nn.Module
) -> Iterator[tuple[bytes, Part]]:
    """The digest of all that a graph's weights may be, and the part that tells it."""
    for key, tensor in state_dict.items():
        yield _digest(tensor), ["tensor", key]
        if key.endswith(("in_proj_weight", "in_proj_bias")):
            size = len(tensor) // _PROJECTIONS
            for start in range(0, len(tensor), size):
                yield _digest(tensor[start : start + size]), ["rows", key, start, start + size]
    left = dict(norms)
    for name, module in fused.named_modules():
        # A weight that a parametrization computes is in no state dict.
        before = state_dict.get(f"{name}.weight") if isinstance(module, nn.Conv2d) else None
        if before is None or torch.equal(module.weight, before):
            continue
        for norm, eps in left.items():
            mean = state_dict.get(f"{norm}.running_mean")
            if mean is None or len(mean) != module.out_channels:
                continue
            weight, bias = graph_weights.folded(state_dict, name, norm, eps)
            if torch.equal(weight, module.weight):
                yield _digest(weight), ["weight", name, norm, eps]
                yield _digest(bias), ["bias", name, norm, eps]
                del left[norm]
                break


def _parts(weights: bytes, read: Sequence[int], known: Mapping[bytes, Part]) -> tuple[list[Part], bytes]:
    """What is read, told by where it comes from, and the bytes that come from nowhere else."""
    parts: list[Part] = []
    constants, start = bytearray(), 0
    for size in read:
        piece = weights[start : start + size]
        start += size
        if size <= _SHORT:
            parts.append(["bytes", base64.b64encode(piece).decode()])
        elif (part := known.get(hashlib.sha256(piece).digest())) is not None:
            parts.append(part)
        else:
            parts.append(["constant", len(constants), len(constants) + size])
            constants += piece
    return parts, bytes(constants)


def _digest(tensor: torch.Tensor) -> bytes:
    return hashlib.sha256(np.ascontiguousarray(tensor.detach().numpy()).data).digest()


def _end(ended: subprocess.CompletedProcess[str]) -> str:
    if ended.returncode < 0:
        ends: dict[int, Any] = {number.value: number.name for number in signal.Signals}
        return f"was ended by {ends.get(-ended.returncode, f'signal {-ended.returncode}')}"
    lines = [line for line in (ended.stdout + ended.stderr).splitlines() if line.strip()]
    return f"ended with code {ended.returncode}: {lines[-1].strip() if lines else 'it said nothing'}"
