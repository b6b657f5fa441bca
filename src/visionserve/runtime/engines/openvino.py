"""OpenVINO: the same network as a graph that Intel's runtime compiles for this processor as it loads.

An archive carries the graph without its weights, which are filled in from the archive's own checkpoint: fp32 and
bf16 then cost it no second copy of them. An int8 graph has its own weights, a quarter of the size.
"""

from __future__ import annotations

import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.func import functional_call

from visionserve.runtime.engines.pixels import FromPixels
from visionserve.runtime.errors import EngineError
from visionserve.runtime.machine import processor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from visionserve.runtime.engines import Source
    from visionserve.runtime.model import Transform

NAME = "openvino"
GRAPH_FILE = "openvino.xml"
INT8_FILE = "openvino-int8.xml"

_INPUT = "pixels"
# int8 layers aside, what the graph's other layers run in.
_HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "bf16"}
_LARGEST_BATCH = 1024


class OpenVinoEngine:
    """A graph compiled for this processor, for batches of any size."""

    name = NAME
    one_by_one = False

    def __init__(self, graph: Any, precision: str, threads: int) -> None:
        """Compile `graph`, which holds its weights.

        Args:
            graph: An `openvino.Model` from pixels to logits.
            precision: `fp32`, `bf16` or `int8`.
            threads: How many threads to use.
        """
        self.precision = precision
        hint = "f32" if processor.native_bf16() is None else _HINTS[precision]
        compiled = (
            library()
            .Core()
            .compile_model(
                graph,
                "CPU",
                {
                    "PERFORMANCE_HINT": "LATENCY",
                    "NUM_STREAMS": "1",
                    "INFERENCE_NUM_THREADS": str(threads),
                    "INFERENCE_PRECISION_HINT": hint,
                    # Workers of one machine would pin themselves to the same cores.
                    "ENABLE_CPU_PINNING": "NO",
                },
            )
        )
        self._request = compiled.create_infer_request()

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        """See `Engine.logits`."""
        results = self._request.infer([pixels.numpy()], share_inputs=True, share_outputs=True)
        return torch.from_numpy(results[0].copy())


def library() -> Any:
    """OpenVINO, unable to report home: its converter tells Google Analytics what it does unless it cannot."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # Python's way to bar an import
    import openvino
    import openvino.opset13

    return openvino


def is_installed() -> bool:
    """Whether OpenVINO is installed."""
    return find_spec("openvino") is not None


def lacks(source: Source, precision: str) -> str | None:
    """Why this engine cannot run the archive's network here, if it cannot."""
    if source.device.type != "cpu":
        return f"it runs on the CPU, and this worker runs on {source.device}"
    if not is_installed():
        return "it is not installed here: pip install openvino"
    file = INT8_FILE if precision == "int8" else GRAPH_FILE
    if not (source.folder / file).exists():
        return f"the archive has no {file}: build it again where openvino is installed"
    return None


def load(source: Source, precision: str) -> OpenVinoEngine:
    """The archive's graph for `precision`, compiled.

    Raises:
        EngineError: The graph and the weights do not belong together.
        WeightsError: The weights are damaged.
    """
    if precision == "int8":
        return OpenVinoEngine(read(source.folder / INT8_FILE), precision, source.threads)
    graph = with_weights(read(source.folder / GRAPH_FILE), source.state_dict())
    return OpenVinoEngine(graph, precision, source.threads)


def convert(network: nn.Module, transform: Transform) -> Any:
    """A network as an OpenVINO graph from pixels to logits, its weights left open.

    Each floating-point tensor of the state dict is an input of its name.

    Args:
        network: In eval mode, on the CPU, in fp32.
        transform: How pictures become its input.

    Returns:
        An `openvino.Model` whose first input is uint8 `[N, crop, crop, 3]`, for any N.
    """
    weights = {key: tensor for key, tensor in network.state_dict().items() if tensor.is_floating_point()}
    batch = torch.export.Dim("batch", min=1, max=_LARGEST_BATCH)
    exported = torch.export.export(
        _WithWeights(FromPixels(network, transform), list(weights)),
        # Two pictures, for torch.export takes a size of 1 to be a constant.
        (torch.zeros(2, transform.crop, transform.crop, 3, dtype=torch.uint8), list(weights.values())),
        dynamic_shapes=({0: batch}, [None] * len(weights)),
    )
    graph = library().convert_model(exported)
    shapes = [[-1, transform.crop, transform.crop, 3], *(list(tensor.shape) for tensor in weights.values())]
    graph.reshape(dict(zip(graph.inputs, shapes, strict=True)))
    _name(graph, [_INPUT, *weights])
    return graph


def with_weights(graph: Any, state_dict: Mapping[str, torch.Tensor]) -> Any:
    """Fill the weights into a graph that `convert` left open, and return it.

    Raises:
        EngineError: The state dict lacks one of them, or has it in another shape.
    """
    opset = library().opset13
    for parameter in graph.get_parameters():
        name = parameter.get_friendly_name()
        if name == _INPUT:
            continue
        tensor = state_dict.get(name)
        if tensor is None or list(tensor.shape) != list(parameter.shape):
            raise EngineError(f"the archive's graph wants weights '{name}' of shape {list(parameter.shape)}")
        # Copied: one tensor shared with the checkpoint would keep all of it mapped into memory for good, where a
        # copy is freed once it is folded into its layer.
        filled = opset.constant(tensor.numpy(), shared_memory=False)
        parameter.output(0).replace(filled.output(0))
        graph.remove_parameter(parameter)
    graph.validate_nodes_and_infer_types()
    return graph


def fold(graph: Any) -> None:
    """Compute what depends on constants alone, in place."""
    library()
    from openvino import passes

    manager = passes.Manager()
    manager.register_pass(passes.ConstantFolding())
    manager.run_passes(graph)


def serialise(graph: Any, file: str) -> dict[str, bytes]:
    """A graph as archive members, the same bytes for the same graph: `file` and its constants beside it."""
    _name(graph, [parameter.get_friendly_name() for parameter in graph.get_parameters()])
    with tempfile.TemporaryDirectory(prefix="visionserve-") as folder:
        path = Path(folder) / file
        library().save_model(graph, path, compress_to_fp16=False)
        return {member.name: member.read_bytes() for member in (path, path.with_suffix(".bin"))}


class _WithWeights(nn.Module):
    """A network whose weights are arguments."""

    def __init__(self, network: FromPixels, names: Sequence[str]) -> None:
        super().__init__()
        self.inner = network
        self._names = [f"network.{name}" for name in names]

    def forward(self, pixels: torch.Tensor, weights: list[torch.Tensor]) -> torch.Tensor:
        named = dict(zip(self._names, weights, strict=True))
        logits: torch.Tensor = functional_call(self.inner, named, (pixels,), tie_weights=False)
        return logits


def read(path: Path) -> Any:
    """The graph that `serialise` wrote."""
    return library().Core().read_model(path)


def _name(graph: Any, inputs: Sequence[str]) -> None:
    """Name the inputs as given and all else by its place, where OpenVINO counts through the life of a process."""
    graph.set_friendly_name("network")
    for index, operation in enumerate(graph.get_ordered_ops()):
        operation.set_friendly_name(f"{operation.get_type_name()}_{index}")
    for parameter, name in zip(graph.get_parameters(), inputs, strict=True):
        parameter.set_friendly_name(name)
        parameter.output(0).get_tensor().set_names({name})
