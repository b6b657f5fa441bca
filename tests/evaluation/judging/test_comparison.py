"""Two models on the same pictures."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.evaluation.judging.test_confusion import answers

from visionserve.evaluation.errors import EvaluationError
from visionserve.evaluation.judging import comparison


def test_only_pictures_that_one_of_them_knows_tell_them_apart() -> None:
    # Of 20 pictures of class 0: both know 8, only the first 9, only the second 1, neither 2.
    first = answers([0] * 20, [0] * 17 + [1] * 3, 3)
    second = answers([0] * 20, [0] * 8 + [1] * 9 + [0] + [1, 2], 3)
    found = comparison.compare(first, second)
    assert (found.both, found.only_ours, found.only_theirs, found.neither) == (8, 9, 1, 2)
    assert (found.same.count, found.ours.count, found.theirs.count) == (9, 17, 9)
    # 1 or none, or 9 or all, of ten tosses of a coin: 2 * (1 + 10) / 2**10.
    assert found.p_value == pytest.approx(22 / 1024)
    assert found.verdict.startswith("better")
    assert comparison.compare(second, first).verdict.startswith("worse")
    # First what only the second knows, then what only the first does, then what neither does.
    assert [one.ours for one in found.differences] == [17, *range(8, 17), 19]
    assert found.moved == pytest.approx(0.89)


def test_a_model_is_as_good_as_itself() -> None:
    one = answers([0, 1, 2], [0, 1, 1], 3)
    found = comparison.compare(one, one)
    assert (found.same.value, found.p_value, found.moved, list(found.differences)) == (1, 1, 0, [])
    assert found.verdict == "the pictures do not tell them apart"


def test_pictures_that_only_one_of_them_answered_do_not_count() -> None:
    one = answers([0, 1, 2], [0, 1, 1], 3)
    other = replace(one, pictures=one.pictures[1:], probabilities=one.probabilities[1:])
    assert comparison.compare(one, other).same.total == 2
    with pytest.raises(EvaluationError, match="no picture was answered by both m and m"):
        comparison.compare(one, replace(one, pictures=[]))


def test_classes_are_matched_by_their_labels() -> None:
    found = comparison.places("two", ("Tiger cat", "hen"), "one", ("hen", "tiger_cat"))
    assert found == {"Tiger cat": 1, "hen": 0}
    with pytest.raises(
        EvaluationError, match=r"one and two cannot be compared, .*: 2 and 2, such as 'cock' of two"
    ):
        comparison.places("two", ("cock", "hen"), "one", ("hen", "tiger_cat"))
    with pytest.raises(EvaluationError, match="different classes: 2 and 3"):
        comparison.places("two", ("a", "b", "c"), "one", ("a", "b"))
