"""A class that is another's is found among a thousand, and a precision's rounding is not taken for one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from visionserve.runtime.errors import GoldenError
from visionserve.runtime.proof import bounds, deviation, golden

CLASSES = 1000
LABELS = [f"class {index}" for index in range(CLASSES)]


@pytest.fixture
def right() -> np.ndarray:
    """As of a trained network: most of a class's logit is the same for all six pictures."""
    rng = np.random.default_rng(0)
    return (1.2 * rng.normal(size=CLASSES) + 0.5 * rng.normal(size=(6, CLASSES))).astype(np.float32)


def rounded(right: np.ndarray, share: float, seed: int = 1) -> np.ndarray:
    """With errors of that share of the logits' spread, and the same spread of those from class to class."""
    rng = np.random.default_rng(seed)
    weights = 1 + 0.5 * rng.random(CLASSES)
    noise = rng.normal(size=CLASSES) + rng.normal(size=right.shape)
    return np.asarray(right + share * right.std() / math.sqrt(2) * weights * noise, np.float32)


def exchanged(logits: np.ndarray, first: int, second: int) -> np.ndarray:
    changed = logits.copy()
    changed[:, [first, second]] = logits[:, [second, first]]
    return changed


@pytest.mark.parametrize(("allowed", "share"), [(bounds.FP32, 1e-5), (bounds.BF16, 0.05), (bounds.INT8, 0.03)])
def test_rounding_passes_and_two_classes_exchanged_do_not(
    allowed: bounds.Bounds, share: float, right: np.ndarray
) -> None:
    got = rounded(right, share)
    deviation.verify(got, right, LABELS, allowed)
    refused = 0
    for first, second in np.random.default_rng(2).integers(CLASSES, size=(100, 2)):
        try:
            deviation.verify(exchanged(got, first, second), right, LABELS, allowed)
        except GoldenError:
            refused += 1
    assert refused >= 90


def test_what_the_pictures_errors_hide_is_named(right: np.ndarray) -> None:
    got = exchanged(rounded(right, 0.05), int(right[0].argmax()), int(right[0].argmin()))
    assert max(map(golden.error, got, right)) < bounds.BF16.picture
    first, second = LABELS[right[0].argmax()], LABELS[right[0].argmin()]
    named = f"class '{first}': its logits .* nearest to those of '{second}'"
    other = f"class '{second}': its logits .* nearest to those of '{first}'"
    with pytest.raises(GoldenError, match=f"{named}|{other}"):
        deviation.verify(got, right, LABELS, bounds.BF16)


def test_one_class_out_of_order_is_refused_without_another_to_name(right: np.ndarray) -> None:
    got = right.copy()
    got[:, 7] = right[:, 7] * 0.9
    with pytest.raises(GoldenError, match=r"class 'class 7': its logits .* where 2\.00% is allowed$"):
        deviation.verify(got, right, LABELS, bounds.FP32)


def test_all_classes_straying_are_refused_though_none_strays_alone(right: np.ndarray) -> None:
    got = rounded(right, 1.0)
    assert deviation.of_classes(got, right).max() < deviation.LONE * np.median(deviation.of_classes(got, right))
    with pytest.raises(GoldenError, match=r"where 120\.00% is allowed"):
        deviation.verify(got, right, LABELS, bounds.BF16)


def test_what_is_added_to_a_pictures_logits_counts_nothing_and_scale_neither(right: np.ndarray) -> None:
    got = rounded(right, 0.05)
    before = deviation.of_classes(got, right)
    offset = np.arange(6, dtype=np.float32)[:, None]
    assert deviation.of_classes(got + offset, right) == pytest.approx(before, rel=1e-3)
    assert deviation.of_classes(8 * got, 8 * right) == pytest.approx(before, rel=1e-3)


def test_a_class_of_nan_is_refused(right: np.ndarray) -> None:
    got = right.copy()
    got[2, 5] = math.nan
    with pytest.raises(GoldenError):
        deviation.verify(got, right, LABELS, bounds.BF16)


def test_a_network_that_tells_nothing_apart_is_the_same_when_it_is_the_same() -> None:
    nothing = np.zeros((6, 3), np.float32)
    deviation.verify(nothing, nothing, LABELS, bounds.FP32)
