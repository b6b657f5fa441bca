"""Which classes are taken for which."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from visionserve.evaluation.accuracy import Share

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from visionserve.evaluation.answers import Answers


@dataclass(frozen=True)
class OfClass:
    """The answers to the pictures of one class.

    Attributes:
        target: The class.
        right: How many were right.
        taken_for: The class that most of the others were answered with; None if there are none.
    """

    target: int
    right: Share
    taken_for: int | None


@dataclass(frozen=True)
class Pair:
    """A class that was taken for another.

    Attributes:
        target: What the pictures show.
        answer: What they were answered with.
        share: How many of the pictures that show it.
        pictures: Which, the most confident answer first, as positions among the answers.
    """

    target: int
    answer: int
    share: Share
    pictures: tuple[int, ...]


@dataclass(frozen=True)
class Grid:
    """A part of the matrix: as many classes as can be seen at once.

    Attributes:
        classes: Which.
        counts: The pictures of each class (row) by what they were answered with (column), `[k, k + 1]`; the last
            column holds the answers with other classes.
    """

    classes: tuple[int, ...]
    counts: npt.NDArray[np.intp]


@dataclass(frozen=True)
class Confusion:
    """The confusion matrix, of which most is empty.

    Attributes:
        cells: How often each class was answered with which, `(target, answer)`; only those that occur.
    """

    cells: Mapping[tuple[int, int], int]

    @classmethod
    def of(cls, answers: Answers) -> Confusion:
        """Count the answers."""
        both, counts = np.unique(np.stack([answers.targets, answers.top]), axis=1, return_counts=True)
        return cls({(int(t), int(a)): int(n) for (t, a), n in zip(both.T, counts, strict=True)})

    @cached_property
    def shown(self) -> Mapping[int, int]:
        """How many pictures show each class that any shows, in class order."""
        totals: dict[int, int] = defaultdict(int)
        for (target, _), count in self.cells.items():
            totals[target] += count
        return dict(sorted(totals.items()))

    @cached_property
    def mistakes(self) -> Sequence[tuple[int, int]]:
        """The cells of wrong answers, the most frequent first; of as frequent ones that of the smaller class."""
        wrong = [cell for cell in self.cells if cell[0] != cell[1]]
        return sorted(wrong, key=lambda cell: (-self.cells[cell], self.shown[cell[0]], cell))

    def of_classes(self) -> list[OfClass]:
        """Each class that pictures show, the surest to be bad first: by the upper end of its interval."""
        taken_for: dict[int, int] = {}
        for target, answer in self.mistakes:
            taken_for.setdefault(target, answer)
        found = [
            OfClass(target, Share(self.cells.get((target, target), 0), total), taken_for.get(target))
            for target, total in self.shown.items()
        ]
        return sorted(found, key=lambda one: (one.right.interval[1], one.right.value))

    def pairs(self, answers: Answers, most: int) -> list[Pair]:
        """The worst-confused pairs with their pictures."""
        found = []
        for target, answer in self.mistakes[:most]:
            positions = np.flatnonzero((answers.targets == target) & (answers.top == answer))
            surest = positions[np.argsort(-answers.confidence[positions], kind="stable")]
            share = Share(self.cells[target, answer], self.shown[target])
            found.append(Pair(target, answer, share, tuple(map(int, surest))))
        return found

    def grid(self, most: int) -> Grid:
        """The whole matrix if it has at most so many classes, else that of the worst-confused ones."""
        seen = sorted(self.shown.keys() | {answer for _, answer in self.cells})
        if len(seen) > most:
            worst: dict[int, None] = {}
            for cell in self.mistakes:
                if len(worst.keys() | set(cell)) <= most:
                    worst |= dict.fromkeys(cell)
            seen = sorted(worst) or seen[:most]
        place = {index: position for position, index in enumerate(seen)}
        counts = np.zeros((len(seen), len(seen) + 1), np.intp)
        for (target, answer), count in self.cells.items():
            if target in place:
                counts[place[target], place.get(answer, len(seen))] += count
        return Grid(tuple(seen), counts)
