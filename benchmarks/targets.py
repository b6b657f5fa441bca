"""What visionserve is to reach on a CPU with native bf16 and int8, each beside what a run measured."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from benchmarks import plan
from benchmarks.results import Spread, Workload, spread

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.results import Results, Round

_AT_1, _AT_8, _AT_32 = (Workload(plan.RESNET50, "500x375", clients) for clients in (1, 8, 32))
_LARGE = Workload(plan.RESNET50, "2000x1500", 16)
_VGG = Workload(plan.VGG16, "500x375", 32)


@dataclass(frozen=True)
class Target:
    """One promise.

    Attributes:
        what: In words.
        bound: The number to reach.
        least: Whether the bound is the least, rather than the most, that will do.
        unit: Printed behind the numbers.
        measure: What a run says of it; None when it did not measure it.
        limit: What the engine alone reached in the same rounds, in batches of as many as there were clients, 8 at
            most.
    """

    what: str
    bound: float
    least: bool
    unit: str
    measure: Callable[[Results], Spread | None]
    limit: Callable[[Results], Spread | None] = lambda _: None

    def met(self, measured: Spread) -> bool:
        """Whether the median reaches the bound."""
        return measured.median >= self.bound if self.least else measured.median <= self.bound


def _ratio(over: str, under: str, workload: Workload, results: Results) -> Spread | None:
    return results.ratio(over, under, workload)


def _over_peer(what: str, peer: str, workload: Workload, floors: dict[str, float]) -> list[Target]:
    return [
        Target(
            f"{what}, {variant}",
            floor,
            True,
            "x",
            partial(_ratio, plan.OURS[variant], peer, workload),
            partial(_ratio, plan.ENGINES[variant], peer, workload),
        )
        for variant, floor in floors.items()
    ]


def _share(variant: str, results: Results) -> Spread | None:
    """Of the engine alone: its better batch size, round by round."""
    alone = {one.round: one.rate for one in results.of(plan.ENGINES[variant], _AT_32)}
    for one in results.of(plan.ENGINES[variant], _AT_1):
        if one.round in alone:
            alone[one.round] = max(alone[one.round], one.rate)
    served = results.of(plan.OURS[variant], _AT_32)
    return spread([one.rate / alone[one.round] for one in served if alone.get(one.round)])


def _added(variant: str, results: Results) -> Spread | None:
    """Milliseconds at one client beyond decoding, resizing and the engine at batch 1."""
    alone = {
        one.round: one.milliseconds
        for one in results.in_process
        if (one.model, one.pictures, one.variant) == (_AT_1.model, _AT_1.pictures, variant)
    }
    served: list[Round] = results.of(plan.OURS[variant], _AT_1)
    return spread([one.p50 - alone[one.round] for one in served if one.round in alone])


def _agreement(variant: str, results: Results) -> Spread | None:
    """Percent of the pictures of every set together, with the worst and the best set."""
    found = [
        one for one in results.agreements if (one.model, one.variant) == (plan.RESNET50, variant) and one.count
    ]
    if not found:
        return None
    shares = [100 * one.agreed / one.count for one in found]
    together = 100 * sum(one.agreed for one in found) / sum(one.count for one in found)
    return Spread(together, min(shares), max(shares))


def _memory(variant: str, results: Results) -> Spread | None:
    ours = results.entry(plan.OURS[variant], plan.RESNET50)
    stock = results.entry(plan.STOCK, plan.RESNET50)
    if ours is None or stock is None or not ours.workers or not stock.workers:
        return None
    return spread([ours.workers[0]["rss"] / stock.workers[0]["rss"]])


def _ready(variant: str, results: Results) -> Spread | None:
    ours = results.entry(plan.OURS[variant], plan.RESNET50)
    return spread(ours.ready) if ours is not None and not ours.not_run else None


TARGETS = [
    *_over_peer("over stock with 1 worker, 32 clients", plan.STOCK, _AT_32, {"fp32": 2.3, "auto": 4.7, "int8": 8}),
    *_over_peer("the same at 8 clients", plan.STOCK, _AT_8, {"auto": 4.4, "int8": 7.4}),
    *_over_peer("the same at 1 client", plan.STOCK, _AT_1, {"auto": 2.9, "int8": 4.6}),
    *_over_peer("over stock with its default workers, 32 clients", plan.STOCK_DEFAULT, _AT_32, {"auto": 8}),
    *_over_peer("2000x1500 photographs, 16 clients, over stock", plan.STOCK, _LARGE, {"auto": 3.8, "int8": 4.8}),
    *_over_peer("VGG-16, 32 clients, over stock", plan.STOCK, _VGG, {"auto": 3.8, "int8": 7}),
    *_over_peer("over LitServe with the same engine, 1 client", plan.LITSERVE_ENGINE, _AT_1, {"auto": 1.1}),
    *_over_peer("over LitServe with the same engine, 8 clients", plan.LITSERVE_ENGINE, _AT_8, {"auto": 1.1}),
    *_over_peer("over LitServe with the same engine, 32 clients", plan.LITSERVE_ENGINE, _AT_32, {"auto": 1.1}),
    *(
        Target(f"share of the engine alone, 32 clients, {variant}", 0.9, True, "", partial(_share, variant))
        for variant in plan.OURS
    ),
    *(
        Target(
            f"p50 at 1 client beyond decode, resize and engine, {variant}",
            3,
            False,
            " ms",
            partial(_added, variant),
        )
        for variant in plan.OURS
    ),
    *(
        Target(f"top-1 agreement with torch fp32, {variant}", floor, True, " %", partial(_agreement, variant))
        for variant, floor in {"fp32": 100, "auto": 99.5, "int8": 99}.items()
    ),
    *(
        Target(f"resident memory of a worker over stock's, {variant}", 1.2, False, "x", partial(_memory, variant))
        for variant in plan.OURS
    ),
    *(Target(f"start to ready, {variant}", 6, False, " s", partial(_ready, variant)) for variant in plan.OURS),
]
