"""Whether the labels are in another order than the network was trained with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment

from visionserve.evaluation.accuracy import Share, is_better

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

# The probability with which labels in the right order may be called permuted.
_CHANCE = 1e-4
_LISTED = 6


@dataclass(frozen=True)
class BetterOrder:
    """An order of the labels that explains the answers better than the one they are in.

    Attributes:
        labels: In that order.
        before: How often the answers are right as the labels are.
        after: How often they would be in that order; half of the pictures judge what was found on the others.
        known: What the order is called, if it is one of the usual ones; else empty.
    """

    labels: tuple[str, ...]
    before: Share
    after: Share
    known: str

    def describe(self, labels: Sequence[str]) -> str:
        """A sentence on what is wrong and what to do, given the labels as they are."""
        moved = [i for i, label in enumerate(labels) if label != self.labels[i]]
        listed = ", ".join(f"class {i} '{self.labels[i]}' instead of '{labels[i]}'" for i in moved[:_LISTED])
        more = f" and {len(moved) - _LISTED} more" if len(moved) > _LISTED else ""
        called = f"{self.known}, " if self.known else ""
        return (
            f"the labels are in the wrong order: {self.before.value:.1%} of the answers are right as they are, and"
            f" {self.after.value:.1%} in another order ({called}with {listed}{more}); give --labels in that order"
        )


def find(
    answers: npt.NDArray[np.intp], targets: npt.NDArray[np.intp], labels: Sequence[str]
) -> BetterOrder | None:
    """Look for an order of the labels that is right clearly more often.

    The order is the assignment of labels to classes by which most answers are right (Kuhn, The Hungarian method
    for the assignment problem, 1955). It is found on one half of the pictures and judged on the other, both ways,
    for on the pictures that it was found on any network would seem better.

    Args:
        answers: The class that each picture was answered with, `[N]`.
        targets: The class that it shows, as the labels are, `[N]`.
        labels: As they are.

    Returns:
        The better order, or None if there is none.
    """
    halves = np.arange(len(targets)) % 2 == 0
    # Pictures come class by class, so that every other one halves each class.
    order = np.argsort(targets, kind="stable")
    before = answers == targets
    after = np.zeros_like(before)
    for half in (halves, ~halves):
        fitted, judged = order[half], order[~half]
        assigned = _assign(answers[fitted], targets[fitted], len(labels))
        after[judged] = assigned[answers[judged]] == targets[judged]
    if not is_better(before, after, _CHANCE):
        return None
    means = _assign(answers, targets, len(labels))
    better = tuple(labels[index] for index in means)
    return BetterOrder(better, _share(before), _share(after), _name(better))


def _share(right: npt.NDArray[np.bool_]) -> Share:
    return Share(int(right.sum()), len(right))


def _assign(answers: npt.NDArray[np.intp], targets: npt.NDArray[np.intp], classes: int) -> npt.NDArray[np.intp]:
    """What each class of the network means by the pictures: a permutation, `[classes]`."""
    seen = np.zeros((classes, classes))
    np.add.at(seen, (answers, targets), 1)
    # Where the pictures say nothing, a class keeps its label.
    seen += np.eye(classes) / (classes + 1)
    return np.asarray(linear_sum_assignment(seen, maximize=True)[1], np.intp)


def _name(labels: Sequence[str]) -> str:
    if list(labels) == sorted(labels):
        return "the alphabetical one that torchvision's ImageFolder gives them"
    if list(labels) == sorted(labels, key=str.casefold):
        return "the alphabetical one"
    if list(labels) == sorted(labels, reverse=True):
        return "the reverse alphabetical one"
    return ""
