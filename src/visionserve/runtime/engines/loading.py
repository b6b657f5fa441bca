"""Engines loaded, warmed up and proven, one after the other, and why some cannot be had."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch

from visionserve.runtime.engines import compiled, eager, ncnn, openvino
from visionserve.runtime.errors import EngineError, GoldenError, SpecError, WeightsError
from visionserve.runtime.machine import processor
from visionserve.runtime.proof import agreement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from visionserve.runtime.engines import Engine, Source
    from visionserve.runtime.model import Model
    from visionserve.runtime.proof.golden import Golden

logger = logging.getLogger(__name__)


class _Kind(Protocol):
    """What an engine's module has."""

    NAME: str

    def lacks(self, source: Source, precision: str, /) -> str | None: ...

    def load(self, source: Source, precision: str, /) -> Engine: ...


_KINDS: tuple[_Kind, ...] = (openvino, compiled, ncnn, eager)
_ENGINES: Mapping[str, _Kind] = {kind.NAME: kind for kind in _KINDS}


class Way(NamedTuple):
    """A way to run a network."""

    engine: str
    precision: str

    def __str__(self) -> str:
        return f"{self.engine} in {self.precision}"


class Loader:
    """Loads engines of one archive, and remembers what it could not load.

    Args:
        source: What to run, and where.
        known: What the archive is proven on.

    Attributes:
        passed_over: The ways that it was asked for and could not give, each with the reason.
    """

    def __init__(self, source: Source, known: Golden) -> None:
        self.source = source
        self._known = known
        self.passed_over: list[str] = []
        self._failure: Exception | None = None

    def load(self, way: Way) -> Engine | None:
        """The engine, warmed up and proven, if it can be had.

        Raises:
            SpecError, WeightsError: The archive is damaged.
        """
        reason = lacks(self.source, way)
        if reason is None:
            try:
                engine = load(self.source, way)
                warm_up(engine, self.source.model)
                agreement.check(engine, self.source.model.labels, self._known)
            except (SpecError, WeightsError):
                raise  # what every engine needs
            except Exception as error:  # a library may raise anything; the next engine may still do
                self._failure = error
                reason = " ".join(str(error).split()) or type(error).__name__
                logger.warning("%s is passed over: %s", way, reason)
            else:
                return engine
        self.passed_over.append(f"{way}: {reason}")
        return None

    def note(self, ways: Iterable[Way]) -> None:
        """Count those of these that can be told not to run here among those passed over, without loading one."""
        found = ((way, lacks(self.source, way)) for way in ways)
        self.passed_over += [f"{way}: {reason}" for way, reason in found if reason]

    def first(self, ways: Iterable[Way]) -> tuple[Way, Engine] | None:
        """The first of these that can be had.

        Raises:
            SpecError, WeightsError: The archive is damaged.
        """
        for way in ways:
            if engine := self.load(way):
                return way, engine
        return None

    def failure(self) -> EngineError | GoldenError:
        """Why there is none."""
        reasons = "; ".join(self.passed_over)
        told: EngineError | GoldenError = EngineError(f"no engine can run this model here: {reasons}")
        if isinstance(self._failure, GoldenError):
            told = GoldenError(reasons)
        told.__cause__ = self._failure
        return told


def load(source: Source, way: Way) -> Engine:
    """An engine that `lacks` nothing, neither warmed up nor proven; it may raise anything."""
    return _ENGINES[way.engine].load(source, way.precision)


def lacks(source: Source, way: Way) -> str | None:
    """Why an engine cannot run a network here, if that can be told without loading it."""
    if way.precision == "bf16" and not _has_bf16(source.device):
        return f"{source.device} ({processor.description()}) has no native bf16"
    return _ENGINES[way.engine].lacks(source, way.precision)


def warm_up(engine: Engine, model: Model) -> None:
    """Run every batch size that makes a difference once, so that no request pays for a first call."""
    largest = 1 if engine.one_by_one else model.batch_size
    side = model.transform.crop
    blank = torch.zeros(largest, side, side, 3, dtype=torch.uint8)
    for size in range(1, largest + 1):
        engine.logits(blank[:size])


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return processor.native_bf16() is not None
