"""What each engine needs in the archive, made once at build time so that workers start at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from visionserve.archiver.engines import calibration, multiplications, ncnn_graph
from visionserve.archiver.errors import CalibrationError
from visionserve.runtime import network
from visionserve.runtime.engines import compiled, openvino
from visionserve.runtime.errors import EngineError, first_line
from visionserve.runtime.machine import cores, processor
from visionserve.runtime.pictures.fit import stack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from visionserve.archiver.models.spec import HandlerSpec
    from visionserve.runtime.engines import Engine
    from visionserve.runtime.model import Model, Transform

_CPU = torch.device("cpu")
# Of a network's multiplications, in what Winograd's algorithm computes. Measured on P3, ncnn over OpenVINO: VGG-16
# (0.98 of them) 1.9 in fp32, ResNet-18 1.0, ResNet-50 0.8 to 1.2.
_WORTHWHILE = 0.25


@dataclass(frozen=True)
class Int8:
    """The network in int8.

    Attributes:
        engine: What runs it.
        report: How far it is from fp32.
        calibrating: The pictures that set its ranges.
    """

    engine: Engine
    report: calibration.Report
    calibrating: frozenset[Path]


@dataclass(frozen=True)
class Artefacts:
    """Members of the archive.

    Attributes:
        members: Their contents by name.
        inputs: The files they were made from, weights aside.
        notes: What could not be made, and why.
        int8: The int8 network, if the archive has it.
    """

    members: Mapping[str, bytes] = field(default_factory=dict)
    inputs: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    int8: Int8 | None = None


def make(
    root: Path, written: HandlerSpec, model: Model, state_dict: Mapping[str, torch.Tensor], reference: Engine
) -> Artefacts:
    """The artefacts of every engine that the model allows and this machine can make.

    Args:
        root: The project's folder.
        written: What the user wrote of the model, its calibration among it.
        model: The model as it will be served.
        state_dict: Its weights, in fp32.
        reference: The network in fp32, whose answers are right by definition.

    Raises:
        EngineError: An engine or precision that the model pins cannot be had here.
        CalibrationError: There are too few pictures, or int8 strays too far.
    """
    if model.engine == "eager":
        return Artefacts()

    def fresh() -> torch.nn.Module:
        return network.load(model.architecture, model.options, state_dict, len(model.labels), _CPU)

    if model.engine == "compiled":
        native = "bf16" if processor.native_bf16() else "fp32"
        precision = native if model.precision == "auto" else model.precision
        return Artefacts(compiled.compile_package(fresh(), model.transform, precision))
    if model.engine == "ncnn":
        return Artefacts(ncnn_graph.members(fresh(), model.transform))
    if model.precision == "int8":
        found = _pictures(root, written)
        graph = openvino.with_weights(_convert(fresh(), model.transform), state_dict)
        return _int8(found, written, model, graph, reference)
    if model.engine == "openvino":
        return Artefacts(openvino.serialise(_convert(fresh(), model.transform), openvino.GRAPH_FILE))
    return _of_all_that_may_be_fastest(fresh, model)


def _of_all_that_may_be_fastest(fresh: Callable[[], torch.nn.Module], model: Model) -> Artefacts:
    """What `auto` chooses from; an engine that cannot be had is a note."""
    members: dict[str, bytes] = {}
    notes = []
    try:
        members |= openvino.serialise(_convert(fresh(), model.transform), openvino.GRAPH_FILE)
    except EngineError as error:
        notes.append(str(error))
    network = fresh()
    if model.precision != "bf16" and multiplications.count(network, model.transform.crop).share >= _WORTHWHILE:
        try:
            members |= ncnn_graph.members(network, model.transform)
        except EngineError as error:
            notes.append(str(error))
    return Artefacts(members, notes=tuple(notes))


def _convert(fresh: torch.nn.Module, transform: Transform) -> Any:
    if not openvino.is_installed():
        raise EngineError(
            "engine openvino is not installed here, so the archive cannot use it: pip install openvino"
        )
    try:
        return openvino.convert(fresh, transform)
    except Exception as error:  # torch and OpenVINO raise whatever they stumble over in a network's Python
        cause = first_line(error)
        raise EngineError(f"engine openvino cannot take this network: {cause}") from error


def _pictures(root: Path, written: HandlerSpec) -> list[Path]:
    source = calibration.source(written)
    if source is None:
        raise CalibrationError(
            f"precision int8 needs at least {calibration.needed(written.min_agreement)} pictures like those it"
            " will be asked about: add 'calibration: FOLDER' to handler"
        )
    return calibration.find(root / source, written.min_agreement)


def _int8(found: Sequence[Path], written: HandlerSpec, model: Model, graph: Any, reference: Engine) -> Artefacts:
    halves = calibration.split(found)
    skip_broken = written.calibration is None  # the check tells which they are
    calibrating, held_out = (calibration.read_all(half, model, skip_broken=skip_broken) for half in halves)
    quantised = calibration.quantise(graph, calibrating)
    engine = openvino.OpenVinoEngine(quantised, "int8", cores.available())
    report = calibration.judge(len(calibrating), _logits(reference, held_out), _logits(engine, held_out))
    calibration.require(report, written.min_agreement)
    return Artefacts(
        openvino.serialise(quantised, openvino.INT8_FILE),
        tuple(found),
        int8=Int8(engine, report, frozenset(halves[0])),
    )


def _logits(engine: Engine, pixels: Sequence[npt.NDArray[np.uint8]]) -> torch.Tensor:
    return torch.cat([engine.logits(stack([picture])) for picture in pixels])
