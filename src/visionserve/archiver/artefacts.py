"""What each engine needs in the archive, made once at build time so that workers start at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from visionserve.archiver import calibration
from visionserve.runtime import network
from visionserve.runtime.engines import compiled, openvino
from visionserve.runtime.errors import CalibrationError, EngineError
from visionserve.runtime.machine import cores, processor
from visionserve.runtime.pictures import decode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from visionserve.runtime.classifier import Classifier
    from visionserve.runtime.engines import Engine
    from visionserve.runtime.spec import HandlerSpec, InputSpec

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Int8:
    """The network in int8, and how far it is from fp32."""

    engine: Engine
    report: calibration.Report


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
    root: Path, spec: HandlerSpec, state_dict: Mapping[str, torch.Tensor], reference: Classifier
) -> Artefacts:
    """The artefacts of every engine that the spec allows and this machine can make.

    Args:
        root: The project's folder.
        spec: The model, with its transform resolved and its calibration folder as the user wrote it.
        state_dict: Its weights, in fp32.
        reference: The network in fp32, whose answers are right by definition.

    Raises:
        EngineError: An engine or precision that the spec pins cannot be had here.
        CalibrationError: There are too few pictures, or int8 strays too far.
    """
    if spec.input is None or spec.engine == "eager":
        return Artefacts()
    transform = spec.input.complete()

    def fresh() -> torch.nn.Module:
        return network.load(spec, state_dict, len(reference.labels), _CPU)

    if spec.engine == "compiled":
        native = "bf16" if processor.native_bf16() else "fp32"
        precision = native if spec.precision == "auto" else spec.precision
        return Artefacts(compiled.compile_package(fresh(), transform, precision))
    found = _pictures(root, spec) if spec.precision == "int8" else []
    try:
        graph = _convert(fresh(), transform)
    except EngineError as error:
        if spec.engine == "openvino" or spec.precision == "int8":
            raise
        return Artefacts(notes=(str(error),))
    if spec.precision == "int8":
        return _int8(found, spec, openvino.with_weights(graph, state_dict), reference)
    return Artefacts(openvino.serialise(graph, openvino.GRAPH_FILE))


def _convert(fresh: torch.nn.Module, transform: InputSpec) -> Any:
    if not openvino.is_installed():
        raise EngineError(
            "engine openvino is not installed here, so the archive cannot use it: pip install openvino"
        )
    try:
        return openvino.convert(fresh, transform)
    except Exception as error:  # torch and OpenVINO raise whatever they stumble over in a network's Python
        cause = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise EngineError(f"engine openvino cannot take this network: {cause}") from error


def _pictures(root: Path, spec: HandlerSpec) -> list[Path]:
    if spec.calibration is None:
        raise CalibrationError(
            f"precision int8 needs at least {calibration.needed(spec.min_agreement)} pictures like those it will"
            " be asked about: add 'calibration: FOLDER' to handler"
        )
    return calibration.find(root / spec.calibration, spec.min_agreement)


def _int8(found: Sequence[Path], spec: HandlerSpec, graph: Any, reference: Classifier) -> Artefacts:
    calibrating, held_out = (
        [calibration.read(path, reference.pixels) for path in half] for half in calibration.split(found)
    )
    quantised = calibration.quantise(graph, calibrating)
    engine = openvino.OpenVinoEngine(quantised, "int8", cores.available())
    answers = torch.cat([engine.logits(decode.stack([picture])) for picture in held_out])
    report = calibration.judge(len(calibrating), reference.logits(held_out), answers)
    calibration.require(report, spec.min_agreement)
    return Artefacts(openvino.serialise(quantised, openvino.INT8_FILE), tuple(found), int8=Int8(engine, report))
