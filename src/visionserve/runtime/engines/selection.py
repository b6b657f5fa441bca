"""Which engine runs a network here, in which precision, and why.

Candidates are tried fastest first; the first that is there and gives the right answers is taken.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch

from visionserve.runtime.engines import compiled, eager, ncnn, openvino
from visionserve.runtime.errors import EngineError, GoldenError, SpecError, WeightsError
from visionserve.runtime.machine import processor
from visionserve.runtime.proof import agreement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from visionserve.runtime.engines import Engine, Source
    from visionserve.runtime.model import EngineName, Model, Precision
    from visionserve.runtime.proof.golden import Golden

logger = logging.getLogger(__name__)


class _Kind(Protocol):
    """What an engine's module has."""

    NAME: str

    def lacks(self, source: Source, precision: str, /) -> str | None: ...

    def load(self, source: Source, precision: str, /) -> Engine: ...


_KINDS: tuple[_Kind, ...] = (openvino, compiled, ncnn, eager)
_ENGINES: Mapping[str, _Kind] = {kind.NAME: kind for kind in _KINDS}

# Fastest first. ResNet-50, pictures a second in batches of 1 and 8 on two cores with AVX-512 BF16: OpenVINO 115
# and 118 in bf16, 56 and 55 in fp32; compiled 57 and 107, 37 and 47; eager 43 and 26, whatever the batch.
_FASTEST_FIRST = (
    (openvino.NAME, "bf16"),
    (compiled.NAME, "bf16"),
    (openvino.NAME, "fp32"),
    (compiled.NAME, "fp32"),
    (eager.NAME, "bf16"),
    (eager.NAME, "fp32"),
)
# Faster than all of these for some networks on some processors and slower for others: taken where it is asked for.
_ASKED_FOR = ((ncnn.NAME, "fp32"),)


@dataclass(frozen=True)
class Choice:
    """What was taken.

    Attributes:
        engine: The engine, warmed up and proven.
        why: One line for people: what it is, and what was passed over for what reason.
    """

    engine: Engine
    why: str


def candidates(engine: EngineName, precision: Precision) -> list[tuple[str, str]]:
    """Engine and precision pairs that a spec allows, fastest first."""
    if precision == "int8":
        return [(openvino.NAME, "int8")]
    return [
        (name, number)
        for name, number in (_FASTEST_FIRST if engine == "auto" else (*_FASTEST_FIRST, *_ASKED_FOR))
        if engine in ("auto", name) and precision in ("auto", number)
    ]


def choose(source: Source, known: Golden) -> Choice:
    """Take the fastest engine that is there and gives the right answers.

    Args:
        source: What to run, and where.
        known: What the archive is proven on.

    Raises:
        SpecError, WeightsError: The archive is damaged.
        EngineError: There is no engine that the model allows.
        GoldenError: The only ones there give other answers than the archive's.
    """
    passed_over: list[str] = []
    failure: Exception | None = None
    for name, precision in candidates(source.model.engine, source.model.precision):
        what = f"{name} in {precision}"
        reason = _lacks(source, name, precision)
        if reason is None:
            try:
                engine = _ENGINES[name].load(source, precision)
                warm_up(engine, source.model)
                agreement.check(engine, source.model.labels, known)
            except (SpecError, WeightsError):
                raise  # what every engine needs
            except Exception as error:  # a library may raise anything; the next engine may still do
                failure = error
                reason = " ".join(str(error).split()) or type(error).__name__
                logger.warning("%s is passed over: %s", what, reason)
            else:
                return Choice(engine, _why(what, passed_over))
        passed_over.append(f"{what}: {reason}")
    if isinstance(failure, GoldenError):
        raise GoldenError("; ".join(passed_over)) from failure
    raise EngineError(f"no engine can run this model here: {'; '.join(passed_over)}") from failure


def warm_up(engine: Engine, model: Model) -> None:
    """Run every batch size that makes a difference once, so that no request pays for a first call."""
    largest = 1 if engine.one_by_one else model.batch_size
    side = model.transform.crop
    blank = torch.zeros(largest, side, side, 3, dtype=torch.uint8)
    for size in range(1, largest + 1):
        engine.logits(blank[:size])


def _lacks(source: Source, name: str, precision: str) -> str | None:
    if precision == "bf16" and not _has_bf16(source.device):
        return f"{source.device} ({processor.description()}) has no native bf16"
    return _ENGINES[name].lacks(source, precision)


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return processor.native_bf16() is not None


def _why(what: str, passed_over: list[str]) -> str:
    return f"{what}; passed over: {'; '.join(passed_over)}" if passed_over else f"{what}, the fastest there is"
