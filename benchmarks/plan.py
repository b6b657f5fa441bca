"""How much is measured: which models, loads and contenders, how often and how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.contenders.asgi import Asgi
from benchmarks.contenders.engine_alone import EngineAlone
from benchmarks.contenders.litserve import LitServeEngine, LitServeRecipe
from benchmarks.contenders.ours import Visionserve
from benchmarks.contenders.stock import StockTorchServe
from benchmarks.results import Workload

if TYPE_CHECKING:
    from benchmarks.contenders import Server
    from benchmarks.deployment import Deployment

RESNET50 = "demo-resnet50"
VGG16 = "demo-vgg16"

STOCK = "stock-1"
STOCK_DEFAULT = "stock-default"
LITSERVE = "litserve"
LITSERVE_ENGINE = "litserve-engine-auto"
OURS = {"fp32": "visionserve-fp32", "auto": "visionserve-auto", "int8": "visionserve-int8"}
OPENVINO = "visionserve-openvino"
ENGINES = {"fp32": "engine-fp32", "auto": "engine-auto", "int8": "engine-int8"}

_LOADS = [("500x375", 1), ("500x375", 8), ("500x375", 32)]
_LARGE = ("2000x1500", 16)
_SMALL = ("224x224", 32)


@dataclass(frozen=True)
class Plan:
    """One run.

    Attributes:
        loads: Pictures and clients, by model.
        rounds: How often every contender takes its turn under every workload.
        seconds: The window of each turn.
        warm_up: Seconds of traffic before each window.
        starts: How often stock TorchServe and ours are started to time it.
        agreement: By model, how many photographs, and how many demo pictures of each class, the answers are
            compared on.
        left_out: Contenders that are not measured.
        only: The contenders that are; without any, all that are not left out.
    """

    loads: dict[str, list[tuple[str, int]]]
    rounds: int
    seconds: float
    warm_up: float
    starts: int
    agreement: dict[str, tuple[int, int]]
    left_out: tuple[str, ...] = ()
    only: tuple[str, ...] = ()

    def takes(self, contender: str) -> bool:
        """Whether a contender is measured."""
        return contender not in self.left_out and (not self.only or contender in self.only)

    def workloads(self, model: str) -> list[Workload]:
        """The workloads of a model."""
        return [Workload(model, pictures, clients) for pictures, clients in self.loads[model]]


FULL = Plan(
    {RESNET50: [*_LOADS, _LARGE, _SMALL], VGG16: _LOADS},
    rounds=3,
    seconds=3.0,
    warm_up=0.7,
    starts=3,
    agreement={RESNET50: (500, 20), VGG16: (200, 20)},
    left_out=(OPENVINO,),
)
QUICK = Plan(
    {RESNET50: [_LOADS[0], _LOADS[-1], _LARGE]},
    rounds=2,
    seconds=1.0,
    warm_up=0.3,
    starts=1,
    agreement={RESNET50: (20, 2)},
    left_out=(OPENVINO, STOCK_DEFAULT),  # on few cores it takes half a minute to answer what it was asked last
)
# What the choice of an engine gains a whole server.
CHOICE = Plan(
    {VGG16: _LOADS, RESNET50: _LOADS},
    rounds=5,
    seconds=4.0,
    warm_up=1.0,
    starts=3,
    agreement={},
    only=(STOCK, OPENVINO, OURS["auto"]),
)


def servers(deployment: Deployment) -> list[Server]:
    """Every server of a model."""
    return [
        StockTorchServe(deployment, workers=1),
        StockTorchServe(deployment, workers=None),
        LitServeRecipe(deployment),
        LitServeEngine(deployment, "auto"),
        Asgi(deployment, "auto"),
        *(Visionserve(deployment, variant) for variant in (*OURS, "openvino")),
    ]


def engines(deployment: Deployment) -> dict[str, EngineAlone]:
    """The limits of a model, by variant."""
    return {variant: EngineAlone(deployment, variant) for variant in ENGINES}
