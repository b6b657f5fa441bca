"""All that a model's answers to labelled pictures show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from visionserve.evaluation import accuracy, order
from visionserve.evaluation.judging import comparison, reliability
from visionserve.evaluation.judging.confusion import Confusion

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from visionserve.evaluation.accuracy import Share
    from visionserve.evaluation.answers import Answers
    from visionserve.evaluation.judging.comparison import Comparison
    from visionserve.evaluation.judging.reliability import Reliability

_QUANTILES = (50, 95, 99)


@dataclass(frozen=True)
class Findings:
    """What was found.

    Attributes:
        answers: What it was found in.
        top1: How often the right class was first.
        top5: How often it was among the first five; None for a model that has no more.
        confusion: Which classes were taken for which.
        reliability: How far its probabilities can be believed.
        latency: The milliseconds within which 50, 95 and 99 % of the answers were there.
        mistakes: What is probably wrong with the model, each with what to do.
        comparison: How it compares with another.
    """

    answers: Answers
    top1: Share
    top5: Share | None
    confusion: Confusion
    reliability: Reliability
    latency: Mapping[str, float]
    mistakes: Sequence[str]
    comparison: Comparison | None

    @property
    def sentence(self) -> str:
        """The most telling part."""
        low, high = self.top1.interval
        shown = len(self.confusion.shown)
        known = len(self.answers.labels)
        of = f"{known:,} classes" if shown == known else f"{shown:,} of its {known:,} classes"
        return (
            f"{self.answers.model} is right about {100 * self.top1.value:.1f} % of {self.top1.total:,} pictures of"
            f" {of} ({100 * low:.1f} to {100 * high:.1f} % with 95 % confidence)."
        )


def judge(answers: Answers, other: Answers | None = None) -> Findings:
    """Find out what there is.

    Args:
        answers: What the model answered.
        other: What another one answered to the same pictures, its classes in the same order.

    Raises:
        EvaluationError: No picture was answered by both.
    """
    better = order.find(answers.top, answers.targets, answers.labels)
    return Findings(
        answers=answers,
        top1=accuracy.top(answers.probabilities, answers.targets, 1),
        top5=accuracy.top5(answers.probabilities, answers.targets),
        confusion=Confusion.of(answers),
        reliability=reliability.judge(answers.confidence, answers.right),
        latency={f"p{q}": float(np.percentile(answers.milliseconds, q)) for q in _QUANTILES},
        mistakes=(better.describe(answers.labels),) if better else (),
        comparison=comparison.compare(answers, other) if other else None,
    )
