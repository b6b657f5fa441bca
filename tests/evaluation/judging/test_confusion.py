"""What is taken for what, counted and shown in as much of the matrix as can be seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from visionserve.evaluation import accuracy
from visionserve.evaluation.answers import Answers
from visionserve.evaluation.judging.confusion import Confusion
from visionserve.evaluation.labelled import LabelledPicture


def answers(targets: list[int], said: list[int], classes: int, sure: list[float] | None = None) -> Answers:
    """What was said to pictures of the targets, how surely."""
    probabilities = np.full((len(targets), classes), 0.01, np.float32)
    probabilities[np.arange(len(targets)), said] = sure or 0.9
    pictures = [LabelledPicture(Path(f"{i:03}.jpg"), target) for i, target in enumerate(targets)]
    return Answers("m", tuple("abcdefghij"[:classes]), pictures, probabilities, np.zeros(len(targets)))


def test_worst_pairs_come_with_the_surest_mistakes_first() -> None:
    given = answers([0, 0, 0, 0, 1, 2, 2], [0, 1, 1, 1, 1, 0, 2], 3, [0.9, 0.5, 0.8, 0.7, 0.9, 0.6, 0.9])
    worst, other = Confusion.of(given).pairs(given, 5)
    assert (worst.target, worst.answer, worst.share.count, worst.share.total) == (0, 1, 3, 4)
    assert worst.pictures == (2, 3, 1)
    assert (other.target, other.answer, other.share.total) == (2, 0, 2)


def test_the_class_that_is_surest_to_be_bad_comes_first() -> None:
    # One of one wrong says less than nine of ten.
    found = Confusion.of(answers([0] + [1] * 10 + [2] * 10, [1] + [1] + [0] * 9 + [2] * 10, 3)).of_classes()
    assert [one.target for one in found] == [1, 0, 2]
    assert [(one.right.count, one.right.total) for one in found] == [(1, 10), (0, 1), (10, 10)]
    assert [one.taken_for for one in found] == [0, 1, None]


def test_a_large_matrix_is_cut_to_the_worst_confused_classes() -> None:
    said = [1, 1, 1, 9, 3, 3, 5, 6, 7, 8, 9]
    found = Confusion.of(answers([0, 0, 0, 0, 2, 2, 4, 6, 7, 8, 9], said, 10)).grid(4)
    assert found.classes == (0, 1, 2, 3)
    assert found.counts.tolist() == [[0, 3, 0, 0, 1], [0] * 5, [0, 0, 0, 2, 0], [0] * 5]


pairs = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=60)


@given(pairs, st.integers(2, 10))
def test_every_picture_of_a_shown_class_is_in_its_row(both: list[tuple[int, int]], most: int) -> None:
    targets, said = map(list, zip(*both, strict=True))
    confusion = Confusion.of(answers(targets, said, 10))
    grid = confusion.grid(most)
    assert 0 < len(grid.classes) <= most
    for row, target in enumerate(grid.classes):
        assert grid.counts[row].sum() == targets.count(target)
    assert sum(confusion.cells.values()) == len(both)


@given(st.lists(st.lists(st.sampled_from([0.0, 0.25, 0.5]), min_size=4, max_size=4), min_size=1, max_size=20))
def test_what_was_answered_is_right_just_where_it_counts_as_right(scores: list[list[float]]) -> None:
    table, targets = np.array(scores), np.arange(len(scores)) % 4
    said = accuracy.answered(table, targets)
    assert np.array_equal(said == targets, accuracy.rank(table, targets) == 0)
    assert np.array_equal(table[np.arange(len(table)), said], table.max(axis=1))
