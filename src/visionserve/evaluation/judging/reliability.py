"""Whether a model is right as often as it says it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from visionserve.evaluation.accuracy import CONFIDENCE, Share

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

BINS = 15
DEFINITION = (
    f"ECE, the expected calibration error: answers are put into {BINS} bins of equal width by the probability of"
    " their top class; of each bin's accuracy the mean probability is subtracted, and the absolute differences are"
    " averaged with the bins' numbers of answers as weights (Guo et al., On calibration of modern neural networks,"
    " 2017)."
)
# As often are right answers drawn by their probabilities, to know the ECE of a model that is right as it says.
_DRAWS = 400


@dataclass(frozen=True)
class Bin:
    """The answers whose top probability is in one bin.

    Attributes:
        low: Its lower end, not in it.
        high: Its upper end, in it.
        confidence: The mean of their top probabilities.
        right: How many are right.
    """

    low: float
    high: float
    confidence: float
    right: Share


@dataclass(frozen=True)
class Reliability:
    """How far probabilities can be believed.

    Attributes:
        bins: Those with answers in them, by growing probability.
        ece: The expected calibration error, see `DEFINITION`.
        chance: What the ECE of a model that is right just as often as it says would exceed on as many answers
            once in twenty times.
        confidence: The mean top probability.
        accuracy: The share of right answers.
    """

    bins: Sequence[Bin]
    ece: float
    chance: float
    confidence: float
    accuracy: float

    @property
    def verdict(self) -> str:
        """What follows, in a few words."""
        if self.ece <= self.chance:
            return "as often right as it says, as far as so many pictures can tell"
        gap = self.confidence - self.accuracy
        if abs(gap) < self.ece / 2:
            return "surer than it may be about some answers, and too unsure about others"
        return (
            f"{'surer than it may be' if gap > 0 else 'right more often than it says'}, by {100 * abs(gap):.1f} %"
        )


def judge(confidence: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> Reliability:
    """Compare how sure answers are with how often they are right.

    Args:
        confidence: The probability of each answer's top class, `[N]`.
        right: Whether that is the right one, `[N]`.
    """
    place = np.clip(np.ceil(confidence * BINS).astype(np.intp) - 1, 0, BINS - 1)
    counts = np.bincount(place, minlength=BINS)
    sure = np.bincount(place, confidence, BINS)
    hits = np.bincount(place, right, BINS)
    bins = [
        Bin(i / BINS, (i + 1) / BINS, float(sure[i] / counts[i]), Share(int(hits[i]), int(counts[i])))
        for i in np.flatnonzero(counts)
    ]
    # The weights, counts / N, and the means' denominators, counts, cancel.
    ece = float(np.abs(hits - sure).sum() / len(right))
    rng = np.random.default_rng(0)
    drawn = [
        np.abs(np.bincount(place, rng.random(len(right)) < confidence, BINS) - sure).sum() / len(right)
        for _ in range(_DRAWS)
    ]
    return Reliability(
        bins, ece, float(np.quantile(drawn, CONFIDENCE)), float(confidence.mean()), float(right.mean())
    )
