"""What a run is to do, as Locust's command line carries it."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from visionserve.load.errors import LoadError

if TYPE_CHECKING:
    from argparse import Namespace

    from visionserve.load.sending.arrivals import Arrivals

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9.]+)(ms|s|m|h)")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One run of traffic.

    Attributes:
        rate: Open loop: requests per second on average, whether or not answers come. 0 for closed loop.
        users: Closed loop: how many clients, each of whom waits for an answer before asking again.
        arrivals: Open loop: how requests are spaced.
        warm_up: Seconds of traffic that are recorded and not judged.
        duration: Seconds that are judged.
        seed: Of the schedule and the choice of pictures.
        timeout: Seconds a client waits for an answer.
        in_flight: How many requests may be unanswered at once in open loop; a run that needs more is invalid.
        generators: Processes that share the load.
    """

    rate: float = 0.0
    users: int = 0
    arrivals: Arrivals = "poisson"
    warm_up: float = 5.0
    duration: float = 30.0
    seed: int = 1
    timeout: float = 60.0
    in_flight: int = 1000
    generators: int = 1

    def __post_init__(self) -> None:
        for name in ("duration", "timeout", "in_flight", "generators"):
            if getattr(self, name) <= 0:
                raise LoadError(f"{name.replace('_', '-')} is {getattr(self, name)}: it must be above 0")
        if self.warm_up < 0:
            raise LoadError(f"warm-up is {self.warm_up}: it cannot be below 0")
        if (self.rate > 0) == (self.users > 0):
            raise LoadError("give either a rate (open loop) or users (closed loop), above 0")

    @property
    def open_loop(self) -> bool:
        """Whether requests are sent on schedule, not when the last one was answered."""
        return self.rate > 0

    def __str__(self) -> str:
        if self.open_loop:
            rate = f"{self.rate:.1f}".removesuffix(".0")
            return f"{rate} requests/s, {self.arrivals.replace('poisson', 'Poisson')} arrivals"
        return f"{self.users} user{'s' * (self.users > 1)}, closed loop"

    def arguments(self) -> list[str]:
        """The plan as options of the locustfile; `from_options` reads them back."""
        return [text for f in dataclasses.fields(self) for text in (_option(f.name), str(getattr(self, f.name)))]

    @classmethod
    def from_options(cls, options: Namespace) -> Plan:
        """The plan in Locust's parsed options."""
        return cls(**{f.name: getattr(options, f"load_{f.name}") for f in dataclasses.fields(cls)})


def add_options(parser: Any) -> None:
    """Add the plan's fields to Locust's own options."""
    for f in dataclasses.fields(Plan):
        kind = {"float": float, "int": int}.get(str(f.type), str)
        parser.add_argument(_option(f.name), dest=f"load_{f.name}", type=kind, default=f.default)


def _option(name: str) -> str:
    return f"--load-{name.replace('_', '-')}"


def seconds(text: str) -> float:
    """A duration such as `30s`, `1h30m`, `250ms`, in seconds.

    Raises:
        LoadError: It is none.
    """
    parts = _PART.findall(text.strip())
    if not parts or "".join(number + unit for number, unit in parts) != text.strip():
        raise LoadError(f"'{text}' is no duration; write it like 30s, 5m, 1h30m or 250ms")
    try:
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    except ValueError:
        raise LoadError(f"'{text}' is no duration; write it like 30s, 5m, 1h30m or 250ms") from None
