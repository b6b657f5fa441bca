"""An archive in every way that a network can be run here, each in a folder of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from visionserve.archiver.engines import calibration, ncnn_graph
from visionserve.runtime.engines import compiled, eager, loading, ncnn, openvino
from visionserve.runtime.engines.loading import Way
from visionserve.runtime.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from visionserve.runtime.engines import Source

WAYS = (
    Way(eager.NAME, "fp32"),
    Way(eager.NAME, "bf16"),
    Way(compiled.NAME, "fp32"),
    Way(compiled.NAME, "bf16"),
    Way(ncnn.NAME, "fp32"),
    Way(openvino.NAME, "fp32"),
    Way(openvino.NAME, "bf16"),
    Way(openvino.NAME, "int8"),
)


@dataclass(frozen=True)
class Variant:
    """A way to run a network.

    Attributes:
        way: Which.
        folder: The unpacked archive with what that engine needs.
        lacks: Why there is none here, where there is none.
    """

    way: Way
    folder: Path
    lacks: str | None = None


def make(
    source: Source, way: Way, pixels: Sequence[npt.NDArray[np.uint8]], folder: Path, made: Mapping[Way, Variant]
) -> Variant:
    """One of `WAYS`.

    Args:
        source: The archive as it is.
        way: Which.
        pixels: What int8 is calibrated on where the archive brings none: uint8 `[crop, crop, 3]` each.
        folder: Becomes the archive with what the engine needs.
        made: Those that were made before: int8 is made from OpenVINO's graph.
    """
    folder.mkdir()
    for path in source.folder.iterdir():
        (folder / path.name).symlink_to(path.resolve())
    try:
        if _absent(source, way):
            for name, data in _members(source, way, pixels, made).items():
                (folder / name).unlink(missing_ok=True)
                (folder / name).write_bytes(data)
    except EngineError as error:
        return Variant(way, folder, str(error))
    return Variant(way, folder, loading.lacks(replace(source, folder=folder), way))


def _absent(source: Source, way: Way) -> bool:
    """Whether the archive does not bring what only its members can tell: nothing lacks but those."""
    files = {ncnn.NAME: ncnn.GRAPH_FILE, openvino.NAME: openvino.GRAPH_FILE, eager.NAME: source.model.weights}
    file = openvino.INT8_FILE if way.precision == "int8" else files.get(way.engine)
    return file is None or not (source.folder / file).exists()


def _members(
    source: Source, way: Way, pixels: Sequence[npt.NDArray[np.uint8]], made: Mapping[Way, Variant]
) -> Mapping[str, bytes]:
    model = source.model
    if way.precision == "bf16" and (reason := loading.lacks(source, Way(eager.NAME, "bf16"))):
        raise EngineError(reason)
    if way.engine == compiled.NAME:
        return compiled.compile_package(source.network(), model.transform, way.precision)
    if way.engine == ncnn.NAME:
        return ncnn_graph.members(source.network(), model.transform)
    if not openvino.is_installed():
        return {}
    if way.precision == "fp32":
        return openvino.serialise(openvino.convert(source.network(), model.transform), openvino.GRAPH_FILE)
    fp32 = made[Way(openvino.NAME, "fp32")]
    if fp32.lacks:
        raise EngineError(fp32.lacks)
    if way.precision == "bf16":
        return {path.name: path.read_bytes() for path in fp32.folder.glob(f"{Path(openvino.GRAPH_FILE).stem}.*")}
    graph = openvino.with_weights(openvino.read(fp32.folder / openvino.GRAPH_FILE), source.state_dict())
    return openvino.serialise(calibration.quantise(graph, pixels), openvino.INT8_FILE)
