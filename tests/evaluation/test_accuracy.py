"""Shares have honest intervals, and a permuted order of labels is found where there is one and only there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionserve.evaluation import accuracy, order
from visionserve.evaluation.accuracy import Share

LABELS = ("bee", "ant", "cow", "dog", "cat")


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


def test_equal_scores_are_no_right_answers() -> None:
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


def answered(permutation: list[int], right: float, pictures: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """A network's answers that is right so often but for its labels being permuted, and what the pictures show."""
    rng = np.random.default_rng(0)
    targets = np.repeat(np.arange(len(LABELS)), pictures // len(LABELS))
    answers = np.array(permutation)[targets]
    wrong = rng.random(pictures) > right
    answers[wrong] = rng.integers(0, len(LABELS), wrong.sum())
    return answers, targets


def test_a_permuted_order_is_found_and_named() -> None:
    names = sorted(LABELS)
    # Trained with ImageFolder, so class i is names[i]; the labels are in LABELS' order.
    answers, targets = answered([names.index(label) for label in LABELS], 0.9)
    found = order.find(answers, targets, LABELS)
    assert found is not None
    assert list(found.labels) == names
    assert found.after.value > 0.85
    assert found.before.value < 0.4
    told = found.describe(LABELS)
    assert "in the wrong order" in told and "ImageFolder" in told and "class 0 'ant' instead of 'bee'" in told


def test_two_exchanged_classes_are_found() -> None:
    found = order.find(*answered([0, 1, 2, 4, 3], 0.95), LABELS)
    assert found is not None
    assert found.labels == ("bee", "ant", "cow", "cat", "dog")


@pytest.mark.parametrize("right", [0.0, 0.3, 0.6, 1.0])
def test_the_right_order_is_left_alone(right: float) -> None:
    assert order.find(*answered([0, 1, 2, 3, 4], right), LABELS) is None


def test_one_picture_a_class_proves_nothing() -> None:
    assert order.find(np.array([1, 2, 3, 4, 0]), np.arange(5), LABELS) is None


@settings(max_examples=50)
@given(st.permutations(range(5)), st.integers(0, 5))
def test_any_order_but_the_right_one_is_found(permutation: list[int], seed: int) -> None:
    found = order.find(*answered(permutation, 0.9, 200), LABELS)
    if permutation == sorted(permutation):
        assert found is None
    else:
        assert found is not None
        assert [LABELS.index(label) for label in found.labels] == [permutation.index(i) for i in range(5)]
