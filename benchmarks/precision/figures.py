"""How far answers are from the right ones: every figure of the table, and what it means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from visionserve.runtime.proof import deviation, golden

if TYPE_CHECKING:
    import numpy.typing as npt

_MANY = 0.99


@dataclass(frozen=True)
class Distance:
    """How far logits are from the reference's.

    Attributes:
        error: The largest error of a picture's logits; see `golden.error`.
        error_p99: The 99th percentile of them.
        deviation: The largest deviation of a class's logits over all pictures; see `deviation.of_classes`.
        deviation_p99: The 99th percentile of them.
        deviation_p50: The median of them.
        agreed: For how many pictures both name the same class.
        margin: Of those for which they do not, the largest difference in probability that the reference saw
            between its own class and the one that was named; 0 if there are none.
        change: The largest change of any probability.
    """

    error: float
    error_p99: float
    deviation: float
    deviation_p99: float
    deviation_p50: float
    agreed: int
    margin: float
    change: float


@dataclass(frozen=True)
class Figures:
    """One way to answer a network's pictures.

    Attributes:
        engine: The engine's name.
        precision: What it computes in.
        decoding: `exact` or `fast`.
        count: How many pictures.
        distance: From eager fp32 behind exact decoding.
        decoding_ms: Milliseconds to decode a picture, on one core, on average.
        network_ms: Milliseconds to answer one by itself, on all cores, on average.
    """

    engine: str
    precision: str
    decoding: str
    count: int
    distance: Distance
    decoding_ms: float
    network_ms: float


def compare(logits: npt.NDArray[np.float32], right: npt.NDArray[np.float32]) -> Distance:
    """The distance of logits from the reference's.

    Args:
        logits: float32 `[pictures, classes]`.
        right: The same.
    """
    errors = np.array([golden.error(*rows) for rows in zip(logits, right, strict=True)])
    strays = deviation.of_classes(logits, right)
    wanted, got = _probabilities(right), _probabilities(logits)
    best, named = right.argmax(axis=1), logits.argmax(axis=1)
    each = np.arange(len(right))
    return Distance(
        error=float(errors.max()),
        error_p99=float(np.quantile(errors, _MANY)),
        deviation=float(strays.max()),
        deviation_p99=float(np.quantile(strays, _MANY)),
        deviation_p50=float(np.median(strays)),
        agreed=int((best == named).sum()),
        margin=float((wanted[each, best] - wanted[each, named]).max()),
        change=float(np.abs(wanted - got).max()),
    )


def _probabilities(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
