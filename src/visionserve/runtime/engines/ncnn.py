"""ncnn: fp32 with fewer multiplications, for it computes 3x3 convolutions by Winograd's algorithm.

F(2x2, 3x3) takes 16 multiplications where direct convolution takes 36, F(4x4, 3x3) 36 for 144 and F(6x6, 3x3) 64
for 324 (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015). The additions cost some
accuracy, as much as another order of adding does.

An archive carries the graph as text, and says which of its checkpoint's tensors are the graph's weights.
"""

from __future__ import annotations

import ctypes
import json
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from visionserve.runtime.engines import graph_weights
from visionserve.runtime.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from visionserve.runtime.engines import Source
    from visionserve.runtime.model import Transform

NAME = "ncnn"
GRAPH_FILE = "ncnn.param"
WEIGHTS_FILE = "ncnn.json"
CONSTANTS_FILE = "ncnn.bin"

# What pnnx calls the graph's input and output.
_INPUT, _OUTPUT = "in0", "out0"

_address = ctypes.pythonapi.PyCapsule_GetPointer
_address.restype, _address.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


class NcnnEngine:
    """A graph that runs pictures one by one: ncnn has no batches."""

    name = NAME
    precision = "fp32"
    one_by_one = True

    def __init__(self, net: Any, transform: Transform) -> None:
        """Run `net`, which has its weights.

        Args:
            net: An `ncnn.Net` from normalised pictures to logits.
            transform: How pictures are normalised.
        """
        self._net = net
        # Of pixels from 0 to 255: (x / 255 - mean) / std.
        self._mean = [255 * mean for mean in transform.mean]
        self._scale = [1 / (255 * std) for std in transform.std]

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        """See `Engine.logits`."""
        return torch.from_numpy(np.stack([self._logits(picture) for picture in pixels.numpy()]))

    def _logits(self, picture: Any) -> Any:
        ncnn = library()
        height, width, _ = picture.shape
        image = ncnn.Mat.from_pixels(np.ascontiguousarray(picture), ncnn.Mat.PixelType.PIXEL_RGB, width, height)
        image.substract_mean_normalize(self._mean, self._scale)
        extractor = self._net.create_extractor()
        failed = extractor.input(_INPUT, image)
        if not failed:
            failed, answer = extractor.extract(_OUTPUT)
        if failed:
            raise EngineError(f"ncnn gives up with code {failed}")
        return np.array(answer, np.float32).reshape(-1)


def library() -> Any:
    """The library."""
    import ncnn

    return ncnn


def is_installed() -> bool:
    """Whether ncnn is installed."""
    return find_spec("ncnn") is not None


def lacks(source: Source, _precision: str) -> str | None:
    """Why this engine cannot run the archive's network here, if it cannot."""
    if source.device.type != "cpu":
        return f"it runs on the CPU, and this worker runs on {source.device}"
    if not is_installed():
        return "it is not installed here: pip install ncnn"
    for file in (GRAPH_FILE, WEIGHTS_FILE):
        if not (source.folder / file).exists():
            return f"the archive has no {file}: build it again where ncnn and pnnx are installed"
    return None


def load(source: Source, _precision: str) -> NcnnEngine:
    """The archive's graph with the archive's weights.

    Raises:
        EngineError: The graph and the weights do not belong together.
        WeightsError: The weights are damaged.
    """
    parts = json.loads((source.folder / WEIGHTS_FILE).read_text(encoding="utf-8"))
    constants = _read(source.folder / CONSTANTS_FILE)
    graph = (source.folder / GRAPH_FILE).read_text(encoding="utf-8")
    weights = graph_weights.arrays(parts, source.state_dict(), constants)
    return NcnnEngine(net(graph, weights, source.threads), source.model.transform)


def net(graph: str, weights: Iterable[Any], threads: int, read: list[int] | None = None) -> Any:
    """An `ncnn.Net` that computes in fp32.

    Args:
        graph: Its layers, in ncnn's text form.
        weights: Arrays whose bytes, one after the other, are what the layers read.
        threads: How many threads to use.
        read: Gets how many bytes each read asked for.

    Raises:
        EngineError: ncnn does not know a layer, or the weights are too few or too many.
    """
    made = library().Net()
    made.opt.num_threads = threads
    for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(made.opt, option, False)
    reader = _reader(weights, read)
    if made.load_param_mem(graph) != 0:
        raise EngineError("ncnn cannot read the graph")
    failed = made.load_model(reader) != 0
    if reader.failure is not None:
        raise reader.failure
    if failed or not reader.is_at_end():
        raise EngineError("the archive's graph and its weights do not belong together")
    return made


def _reader(weights: Iterable[Any], read: list[int] | None) -> Any:
    """What ncnn reads weights from: the checkpoint itself, which is mapped into memory, without a copy of it."""

    class Reader(library().DataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self._arrays = iter(weights)
            self._left = memoryview(b"")
            self.failure: EngineError | None = None

        def read(self, buffer: Any, size: int) -> int:
            """Fill a buffer of ncnn's; where there is too little for it, ncnn gives up."""
            if read is not None:
                read.append(size)
            start, given = _address(buffer, None), 0
            try:
                while given < size and self._more():
                    piece = self._left[: size - given]
                    ctypes.memmove(start + given, np.frombuffer(piece, np.uint8).ctypes.data, len(piece))
                    given, self._left = given + len(piece), self._left[len(piece) :]
            except EngineError as error:  # no exception may pass through ncnn
                self.failure = error
            return given

        def is_at_end(self) -> bool:
            """Whether all weights were read."""
            return not self._more()

        def _more(self) -> bool:
            while not self._left:
                try:
                    array: Any = next(self._arrays)
                except StopIteration:
                    return False
                self._left = memoryview(_bytes(array))
            return True

    return Reader()


def _bytes(array: Any) -> Any:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""
