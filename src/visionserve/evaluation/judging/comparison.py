"""Two models' answers to the same pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from visionserve.evaluation import classes
from visionserve.evaluation.accuracy import Share
from visionserve.evaluation.errors import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from visionserve.evaluation.answers import Answers

_CHANCE = 0.05
_LISTED = 5


@dataclass(frozen=True)
class Difference:
    """A picture that the two answer differently.

    Attributes:
        ours: Its position among the one model's answers.
        theirs: Its position among the other's.
    """

    ours: int
    theirs: int


@dataclass(frozen=True)
class Comparison:
    """How a model compares with another on the pictures that both answered.

    Attributes:
        other: The other's answers.
        same: How often both put the same class first.
        both: How many pictures both are right about.
        only_ours: About how many only the one is.
        only_theirs: About how many only the other is.
        neither: About how many neither is.
        moved: The largest difference between their probabilities of one class of one picture.
        differences: The pictures with different answers: those first about which only the other is right, then
            those about which only the one is.
    """

    other: Answers
    same: Share
    both: int
    only_ours: int
    only_theirs: int
    neither: int
    moved: float
    differences: Sequence[Difference]

    @property
    def ours(self) -> Share:
        """How often the one is right."""
        return Share(self.both + self.only_ours, self.same.total)

    @property
    def theirs(self) -> Share:
        """How often the other is right."""
        return Share(self.both + self.only_theirs, self.same.total)

    @property
    def p_value(self) -> float:
        """The probability of so unequal a number of pictures about which only one is right, if both are as good.

        McNemar's exact test, two-sided: each of these pictures goes either way by chance (McNemar, Note on the
        sampling error of the difference between correlated proportions or percentages, 1947).
        """
        decided = self.only_ours + self.only_theirs
        return float(stats.binomtest(self.only_ours, decided).pvalue) if decided else 1.0

    @property
    def beyond_chance(self) -> bool:
        """Whether one of the two is better."""
        return self.p_value < _CHANCE

    @property
    def verdict(self) -> str:
        """Which of the two is better, or that it cannot be told."""
        if not self.beyond_chance:
            return "the pictures do not tell them apart"
        return f"{'better' if self.only_ours > self.only_theirs else 'worse'}, and that by more than chance"


def places(other: str, theirs: Sequence[str], one: str, ours: Sequence[str]) -> dict[str, int]:
    """The place that each label of another model has among a model's own.

    Args:
        other: The other's name.
        theirs: Its labels, in class order.
        one: The model's name.
        ours: Its labels, in class order.

    Raises:
        EvaluationError: The two know different classes.
    """
    found = classes.by_label(theirs, ours)
    if len(theirs) != len(ours) or len(set(found.values())) != len(ours):
        lacking = [label for label in theirs if label not in found]
        listed = f", such as {', '.join(map(repr, lacking[:_LISTED]))} of {other}" if lacking else ""
        raise EvaluationError(
            f"{one} and {other} cannot be compared, for they know different classes:"
            f" {len(ours)} and {len(theirs)}{listed}"
        )
    return found


def compare(answers: Answers, other: Answers) -> Comparison:
    """Compare a model's answers with another's, both with their classes in the same order.

    Raises:
        EvaluationError: No picture was answered by both.
    """
    theirs = {picture: position for position, picture in enumerate(other.pictures)}
    shared = [(i, theirs[p]) for i, p in enumerate(answers.pictures) if p in theirs]
    if not shared:
        raise EvaluationError(f"no picture was answered by both {answers.model} and {other.model}")
    a, b = np.array(shared).T
    right, right_too = answers.right[a], other.right[b]
    same = answers.top[a] == other.top[b]
    # 0: only the other is right; 1: only the one; 2: neither.
    kind = np.where(right_too, 0, np.where(right, 1, 2))
    differing = np.flatnonzero(~same)
    differing = differing[np.argsort(kind[differing], kind="stable")]
    return Comparison(
        other=other,
        same=Share(int(same.sum()), len(a)),
        both=int((right & right_too).sum()),
        only_ours=int((right & ~right_too).sum()),
        only_theirs=int((~right & right_too).sum()),
        neither=int((~right & ~right_too).sum()),
        # Picture by picture: all at once they would be copied several times.
        moved=max(float(np.abs(answers.probabilities[i] - other.probabilities[j]).max()) for i, j in shared),
        differences=[Difference(int(a[i]), int(b[i])) for i in differing],
    )
