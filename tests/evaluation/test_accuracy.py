"""Shares have honest intervals, and equal scores are nobody's win."""

from __future__ import annotations

import numpy as np
import pytest

from visionserve.evaluation import accuracy
from visionserve.evaluation.accuracy import Share


def test_a_share_is_told_with_its_interval() -> None:
    # Wilson's interval of 9 in 10, as R's binom::binom.confint(9, 10, methods = "wilson") gives it.
    low, high = Share(9, 10).interval
    assert low == pytest.approx(0.5958, abs=1e-4)
    assert high == pytest.approx(0.9821, abs=1e-4)
    assert str(Share(9, 10)) == "90.0% [59.6%, 98.2%]"
    assert Share(0, 5).interval[0] == pytest.approx(0) and Share(5, 5).interval[1] == pytest.approx(1)


def test_top_k_counts_the_classes_before_the_right_one() -> None:
    scores = np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])
    targets = np.array([1, 1, 2])
    assert [accuracy.top(scores, targets, k).count for k in (1, 2, 3)] == [1, 2, 3]


def test_of_equal_scores_half_come_first() -> None:
    scores, targets = np.ones((7, 7)), np.arange(7)
    assert accuracy.top(scores, targets, 1).count == 0
    assert accuracy.top(scores, targets, 7).count == 7


def test_better_is_more_than_chance() -> None:
    before = np.zeros(40, bool)
    few, many = before.copy(), before.copy()
    few[:3], many[:20] = True, True
    assert not accuracy.is_better(before, few, 1e-3)
    assert accuracy.is_better(before, many, 1e-3)
    assert not accuracy.is_better(many, before, 1e-3)
    assert not accuracy.is_better(before, before, 1e-3)
