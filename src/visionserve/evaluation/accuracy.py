"""How often a model's answers are right, with how much that is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    import numpy.typing as npt

CONFIDENCE = 0.95
_FIVE = 5


@dataclass(frozen=True)
class Share:
    """So many of so many.

    Attributes:
        count: How many it holds for.
        total: Of how many, at least one.
    """

    count: int
    total: int

    @property
    def value(self) -> float:
        """The share, 0 to 1."""
        return self.count / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's score interval of 95 %, which keeps its word for few pictures and shares near 0 and 1.

        Wilson, Probable inference, the law of succession, and statistical inference, 1927.
        """
        found = stats.binomtest(self.count, self.total).proportion_ci(CONFIDENCE, method="wilson")
        return float(found.low), float(found.high)

    def to_json(self) -> dict[str, object]:
        """As counts, with the interval."""
        return {"count": self.count, "of": self.total, "interval": [round(end, 6) for end in self.interval]}

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.value:.1%} [{low:.1%}, {high:.1%}]"


def rank(scores: npt.NDArray[np.floating], targets: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """How many classes are put before the right one, for each picture; of those with the same score, half.

    Args:
        scores: Logits or probabilities, `[N, classes]`.
        targets: The right classes, `[N]`.

    Returns:
        0 where the answer is right, `[N]`.
    """
    right = scores[np.arange(len(targets)), targets][:, None]
    return np.asarray((scores > right).sum(axis=1) + ((scores == right).sum(axis=1) - 1) // 2, np.intp)


def answered(scores: npt.NDArray[np.floating], targets: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """The class that is put first for each picture, which is the right one just where its `rank` is 0.

    Args:
        scores: Logits or probabilities, `[N, classes]`.
        targets: The right classes, `[N]`.
    """
    first = scores.argmax(axis=1)
    last = scores.shape[1] - 1 - scores[:, ::-1].argmax(axis=1)
    # Of classes with the same score the first is the highest, which may be the right one though its rank is not 0.
    wrong = np.where(first == targets, last, first)
    return np.asarray(np.where(rank(scores, targets) == 0, targets, wrong), np.intp)


def top(scores: npt.NDArray[np.floating], targets: npt.NDArray[np.intp], k: int) -> Share:
    """How often the right class is among the `k` with the highest scores."""
    return Share(int((rank(scores, targets) < k).sum()), len(targets))


def top5(scores: npt.NDArray[np.floating], targets: npt.NDArray[np.intp]) -> Share | None:
    """How often the right class is among the five with the highest scores; None where there are no others."""
    return top(scores, targets, _FIVE) if scores.shape[1] > _FIVE else None


def is_better(before: npt.NDArray[np.bool_], after: npt.NDArray[np.bool_], chance: float) -> bool:
    """Whether more answers to the same pictures are right, and that by more than chance.

    McNemar's exact test, one-sided: of the pictures that one gets right and the other wrong, as many would go
    either way by chance (McNemar, Note on the sampling error of the difference between correlated proportions,
    1947).

    Args:
        before: Whether each answer was right, `[N]`.
        after: The same of the other answers.
        chance: The probability with which a difference may be called one though there is none.
    """
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    return gained > lost and float(stats.binomtest(gained, gained + lost, alternative="greater").pvalue) < chance
