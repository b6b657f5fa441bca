"""A subject's archives, and each way to answer with them: an engine, a precision, exact or fast decoding."""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from benchmarks.errors import NotRun
from benchmarks.precision import subjects
from visionserve.runtime import archive
from visionserve.runtime.engines import Source, eager, openvino
from visionserve.runtime.errors import VisionserveError
from visionserve.runtime.machine import cores, processor
from visionserve.runtime.model import Model

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.precision.subjects import Subject
    from visionserve.runtime.engines import Engine
    from visionserve.runtime.model import Transform

# The first says what is right.
ENGINES = (("eager", "fp32"), ("eager", "bf16"), ("openvino", "fp32"), ("openvino", "bf16"), ("openvino", "int8"))

# int8 is measured, not judged: every share of agreement is taken.
_ANY_AGREEMENT = 0.01
_CALIBRATION = "calibration"


@dataclass(frozen=True)
class Archives:
    """A subject's archive for fp32 and bf16, and the one for int8, unpacked.

    Attributes:
        folders: By precision.
        calibrated: How int8 agrees with fp32 on the pictures that calibration held out, in words.
    """

    folders: Mapping[str, Path]
    calibrated: str = ""

    @classmethod
    def build(cls, subject: Subject, work: Path) -> Archives:
        """Build them in a folder of their own, as `visionserve archive` would.

        Raises:
            NotRun: One cannot be built.
        """
        root = work / subject.name
        shutil.rmtree(root, ignore_errors=True)
        (root / _CALIBRATION).mkdir(parents=True)
        for index, data in enumerate(subject.calibration):
            (root / _CALIBRATION / f"{index:04}.jpg").write_bytes(data)
        plain = subject.network
        handler = dataclasses.replace(
            plain.spec.handler, precision="int8", calibration=_CALIBRATION, min_agreement=_ANY_AGREEMENT
        )
        spec = dataclasses.replace(plain.spec, name=f"{plain.spec.name}-int8", handler=handler)
        try:
            whole = subject.build(root, plain)
            rounded = subject.build(root, dataclasses.replace(plain, spec=spec))
        except VisionserveError as error:
            raise NotRun(str(error)) from error
        folder = subjects.unpacked(whole.archive.path)
        folders = {"fp32": folder, "bf16": folder, "int8": subjects.unpacked(rounded.archive.path)}
        return cls(folders, str(rounded.int8))

    @property
    def transform(self) -> Transform:
        """How pictures become the network's input."""
        return _model(self.folders["fp32"]).transform

    def engine(self, name: str, precision: str) -> Engine:
        """The archive's network in an engine, loaded as a worker loads it.

        Raises:
            NotRun: This machine cannot run it; the message says why.
        """
        if precision == "bf16" and processor.native_bf16() is None:
            raise NotRun(processor.description())
        folder = self.folders[precision]
        source = Source(folder, _model(folder), torch.device("cpu"), cores.available())
        kind = {eager.NAME: eager, openvino.NAME: openvino}[name]
        reason = kind.lacks(source, precision)
        if reason is not None:
            raise NotRun(reason)
        engine: Engine = kind.load(source, precision)
        return engine


def _model(folder: Path) -> Model:
    identity = archive.read_identity(folder)
    return Model.from_config(
        archive.read_config(folder), archive.read_labels(folder), identity.name, identity.version
    )
