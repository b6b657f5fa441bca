"""Closed forms of queueing theory that the instrument is held against."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq

if TYPE_CHECKING:
    from numpy.typing import NDArray


def md1_waits_within(time: float, rate: float, service: float) -> float:
    """The share of requests that wait at most `time` in an M/D/1 queue (Erlang 1909; Gross and Harris, 5.1.5)."""
    total = 0.0
    for k in range(math.floor(time / service) + 1):
        x = rate * (k * service - time)
        total += x**k / math.factorial(k) * math.exp(-x)
    return (1 - rate * service) * total


def md1_highest_rate(bound: float, service: float, share: float = 0.99) -> float:
    """The arrival rate at which `share` of requests are answered within `bound` by an M/D/1 server."""

    def short_of(rate: float) -> float:
        return md1_waits_within(bound - service, rate, service) - share

    return float(brentq(short_of, 1e-6, (1 - 1e-6) / service))


def md1_latencies(rate: float, service: float, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Latencies of `count` requests to one server with a fixed service time, by Lindley's recursion."""
    gaps = rng.exponential(1 / rate, count)
    steps = np.concatenate([[0.0], service - gaps[1:]])
    walk = np.cumsum(steps)
    waits = walk - np.minimum.accumulate(walk)
    return np.asarray(waits + service)


def latencies(due: NDArray[np.float64], service: float, stall_at: float, stall: float) -> NDArray[np.float64]:
    """Latencies of requests that are due at given times, of one server that serves nobody during a stall."""
    found, free = [], 0.0
    for time in due:
        start = max(time, free)
        if stall_at <= start < stall_at + stall:
            start = stall_at + stall
        free = start + service
        found.append(free - time)
    return np.array(found)
