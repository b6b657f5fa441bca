"""Conditions on a run: `p99<250ms`, `error_rate>0.1%`, `goodput>=100`."""

from __future__ import annotations

import math
import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from visionserve.load.errors import LoadError
from visionserve.load.judging import judgement

if TYPE_CHECKING:
    from visionserve.load.judging.judgement import Judgement
    from visionserve.load.samples import Samples

_OPERATORS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_FORM = re.compile(r"\s*([a-z_]+[0-9.]*)\s*(<=|>=|<|>)\s*([0-9.]+)\s*(ms|s|%|/s)?\s*")
_PERCENTILE = re.compile(r"p(100|[0-9]{1,2}(\.[0-9]+)?)")
_LATENCIES = ("mean", "max")
_SHARES = ("error_rate", "wrong_rate", "rejected_rate")
_RATES = ("throughput", "goodput")


@dataclass(frozen=True)
class Threshold:
    """A condition.

    Attributes:
        text: As it was written.
        metric: The name of the number.
        compare: `<`, `<=`, `>` or `>=`.
        limit: In ms for latencies, per second for rates, a share of 1 for `*_rate`.
    """

    text: str
    metric: str
    compare: str
    limit: float

    def __str__(self) -> str:
        if self.is_latency:
            return f"{self.metric} {self.compare} {self.limit:g} ms"
        unit = f"{self.limit:g}" if self.metric in _RATES else f"{100 * self.limit:g} %"
        return f"{self.metric} {self.compare} {unit}"

    @property
    def is_latency(self) -> bool:
        """Whether the limit is a latency in ms."""
        return self.metric in _LATENCIES or _PERCENTILE.fullmatch(self.metric) is not None

    def holds(self, judged: Judgement, samples: Samples) -> bool:
        """Whether the run fulfils the condition; a number that is not known fulfils none."""
        return bool(_OPERATORS[self.compare](judgement.metric(judged, samples, self.metric), self.limit))

    def value(self, judged: Judgement, samples: Samples) -> str:
        """What the run measured, with its unit."""
        value = judgement.metric(judged, samples, self.metric)
        if self.is_latency:
            return f"{value:.1f} ms" if math.isfinite(value) else "beyond the last answer"
        return f"{value:.2%}" if self.metric in _SHARES else f"{value:.1f}/s"


def parse(text: str) -> Threshold:
    """Read a condition.

    Raises:
        LoadError: It is none; the message says what one looks like.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise LoadError(f"'{text}' is no condition; write it like p99<250ms, error_rate>0.1% or goodput>100")
    metric, compare, number, unit = match.groups()
    try:
        value = float(number)
    except ValueError:
        raise LoadError(f"'{text}': '{number}' is no number") from None
    if metric in _LATENCIES or _PERCENTILE.fullmatch(metric):
        units: dict[str | None, float] = {"ms": 1.0, "s": 1000.0}
    elif metric in _SHARES:
        units = {"%": 0.01, None: 1.0}
    elif metric in _RATES:
        units = {"/s": 1.0, None: 1.0}
    else:
        names = ", ".join(("p50", "p99", "p99.9", *_LATENCIES, *_SHARES, *_RATES))
        raise LoadError(f"'{text}': there is no '{metric}'; there are {names}")
    if unit not in units:
        allowed = " or ".join(name or "nothing" for name in units)
        raise LoadError(f"'{text}': after the number of {metric} comes {allowed}, not '{unit or 'nothing'}'")
    return Threshold(text.replace(" ", ""), metric, compare, value * units[unit])


def objective(text: str) -> Threshold:
    """Read a service level objective: a latency below a bound.

    Raises:
        LoadError: It is something else.
    """
    threshold = parse(text)
    if not threshold.is_latency or threshold.compare not in ("<", "<="):
        raise LoadError(f"'{text}' is no latency objective; write it like p99<250ms")
    return threshold
