"""A permuted order of labels is found where there is one, and only there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visionserve.evaluation import order

LABELS = ("bee", "ant", "cow", "dog", "cat")


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
@given(st.permutations(range(5)))
def test_any_order_but_the_right_one_is_found(permutation: list[int]) -> None:
    found = order.find(*answered(permutation, 0.9, 200), LABELS)
    if permutation == sorted(permutation):
        assert found is None
    else:
        assert found is not None
        assert [LABELS.index(label) for label in found.labels] == [permutation.index(i) for i in range(5)]
