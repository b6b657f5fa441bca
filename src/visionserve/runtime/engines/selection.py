"""Which engine runs a network here, in which precision, and why.

The first that is there and gives the right answers is taken, in an order that holds for most networks. Where the
order of two depends on network and processor, both are measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from visionserve.runtime.engines import compiled, eager, ncnn, openvino, speed
from visionserve.runtime.engines.loading import Loader, Way, lacks
from visionserve.runtime.engines.remembered import Remembered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from visionserve.runtime.engines import Engine, Source
    from visionserve.runtime.engines.speed import Speed
    from visionserve.runtime.model import EngineName, Precision
    from visionserve.runtime.proof.golden import Golden

# Faster than any other for some networks on some processors, and slower than most for others.
_RIVAL = Way(ncnn.NAME, "fp32")
# Fastest first. ResNet-50, pictures a second in batches of 1 and 8 on two cores with AVX-512 BF16: OpenVINO 115
# and 118 in bf16, 56 and 55 in fp32; compiled 57 and 107, 37 and 47; eager 43 and 26, whatever the batch.
_FASTEST_FIRST = (
    Way(openvino.NAME, "bf16"),
    Way(compiled.NAME, "bf16"),
    Way(openvino.NAME, "fp32"),
    Way(compiled.NAME, "fp32"),
    _RIVAL,
    Way(eager.NAME, "bf16"),
    Way(eager.NAME, "fp32"),
)


@dataclass(frozen=True)
class Choice:
    """What was taken.

    Attributes:
        engine: The engine, warmed up and proven.
        why: One line for people: what it is, and what was passed over for what reason.
    """

    engine: Engine
    why: str


def candidates(engine: EngineName, precision: Precision) -> list[Way]:
    """The ways that a spec allows, those first that are fastest for most networks."""
    if precision == "int8":
        return [Way(openvino.NAME, "int8")]
    return [
        way for way in _FASTEST_FIRST if engine in ("auto", way.engine) and precision in ("auto", way.precision)
    ]


def choose(source: Source, known: Golden, settled: Callable[[], object] = lambda: None) -> Choice:
    """Take the fastest engine that is there and gives the right answers.

    Args:
        source: What to run, and where.
        known: What the archive is proven on.
        settled: Called before engines are compared; returns when this process does nothing else any more.

    Raises:
        SpecError, WeightsError: The archive is damaged.
        EngineError: There is no engine that the model allows.
        GoldenError: The only ones there give other answers than the archive's.
    """
    ways = candidates(source.model.engine, source.model.precision)
    loader = Loader(source, known)
    if len(ways) == 1 or _RIVAL not in ways or lacks(source, _RIVAL) is not None:
        return _choice(loader, loader.first(ways), {})
    remembered = Remembered(source, ways)
    if not (speeds := remembered.read()):
        with remembered.alone():
            if not (speeds := remembered.read()):
                return _measured(loader, ways, remembered, settled)
    first, fastest = ways.index(next(iter(speeds))), _fastest(speeds)
    loader.note(ways[:first])
    others = [way for way in ways[first:] if way != fastest]
    return _choice(loader, loader.first([fastest, *others]), speeds)


def _measured(
    loader: Loader, ways: Sequence[Way], remembered: Remembered, settled: Callable[[], object]
) -> Choice:
    """The first of all others, or their rival where that is faster here."""
    usual = loader.first(way for way in ways if way != _RIVAL)
    rival = loader.first([_RIVAL])
    if usual is None or rival is None:
        return _choice(loader, usual or rival, {})
    settled()
    found = dict([usual, rival])
    speeds = dict(zip(found, speed.compare(list(found.values()), loader.source.model), strict=True))
    remembered.keep(speeds)
    return _choice(loader, (_fastest(speeds), found[_fastest(speeds)]), speeds)


def _fastest(speeds: Mapping[Way, Speed]) -> Way:
    usual, rival = speeds
    return rival if speeds[rival].beats(speeds[usual]) else usual


def _choice(loader: Loader, found: tuple[Way, Engine] | None, speeds: Mapping[Way, Speed]) -> Choice:
    if found is None:
        raise loader.failure()
    way, engine = found
    why = [str(way) if loader.passed_over else f"{way}, the fastest there is"]
    if way in speeds:
        batch = loader.source.model.batch_size
        why = [f"{way}, {speeds[way]} pictures/s alone and in batches of {batch}"]
        why += [f"{other}, {speeds[other]}" for other in speeds if other != way]
    if loader.passed_over:
        why.append(f"passed over: {'; '.join(loader.passed_over)}")
    return Choice(engine, "; ".join(why))
