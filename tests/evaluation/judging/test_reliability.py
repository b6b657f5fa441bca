"""How far probabilities can be believed, against a count by hand and a definition written out."""

from __future__ import annotations

import numpy as np
import pytest

from visionserve.evaluation.judging import reliability


def test_the_calibration_error_is_that_counted_by_hand() -> None:
    confidence = np.array([0.95, 0.95, 0.95, 0.65])
    found = reliability.judge(confidence, np.array([True, True, False, True]))
    # Three answers at 0.95 of which 2/3 are right, one at 0.65 that is right.
    assert found.ece == pytest.approx(3 / 4 * (0.95 - 2 / 3) + 1 / 4 * (1 - 0.65))
    assert [(one.right.count, one.right.total) for one in found.bins] == [(1, 1), (2, 3)]
    assert [one.confidence for one in found.bins] == pytest.approx([0.65, 0.95])
    assert found.bins[1].low < 0.95 <= found.bins[1].high


def test_it_is_the_definition_written_out() -> None:
    rng = np.random.default_rng(1)
    confidence, right = rng.uniform(0.1, 1, 500), rng.random(500) < 0.7
    confidence[0], right[0] = 1.0, True
    expected = 0.0
    for m in range(15):
        inside = (confidence > m / 15) & (confidence <= (m + 1) / 15)
        if inside.any():
            expected += inside.sum() / 500 * abs(right[inside].mean() - confidence[inside].mean())
    assert reliability.judge(confidence, right).ece == pytest.approx(expected)


def test_a_model_that_is_right_as_often_as_it_says_is_believed() -> None:
    rng = np.random.default_rng(2)
    believed = 0
    for _ in range(40):
        confidence = rng.uniform(0.2, 1, 100)
        found = reliability.judge(confidence, rng.random(100) < confidence)
        believed += found.ece <= found.chance
    # 38 of 40 are due; fewer than 33 would come once in two hundred thousand times.
    assert believed >= 33


@pytest.mark.parametrize(
    ("share", "said"),
    [(0.6, "surer than it may be, by 30.0 %"), (1.0, "right more often than it says, by 10.0 %")],
)
def test_a_model_that_is_not_is_told(share: float, said: str) -> None:
    right = np.arange(200) < 200 * share
    assert said in reliability.judge(np.full(200, 0.9), right).verdict


def test_few_pictures_tell_nothing() -> None:
    assert "as far as so many pictures can tell" in reliability.judge(np.full(5, 0.8), np.ones(5, bool)).verdict
