"""An engine is refused for a picture's logits and for a class's, each by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from visionserve.runtime.errors import GoldenError
from visionserve.runtime.proof import agreement, bounds, golden

if TYPE_CHECKING:
    from collections.abc import Iterator

CLASSES = 1000
LABELS = [f"class {index}" for index in range(CLASSES)]


class Answering:
    """An engine that answers the pictures one after another with rows that are given."""

    name, one_by_one = "answering", False

    def __init__(self, precision: str, rows: np.ndarray) -> None:
        self.precision = precision
        self._rows: Iterator[torch.Tensor] = iter(torch.split(torch.from_numpy(rows), 1))

    def logits(self, _pixels: torch.Tensor) -> torch.Tensor:
        return next(self._rows)


@pytest.fixture
def rows() -> np.ndarray:
    """As of a trained network: most of a class's logit is the same for all pictures."""
    rng = np.random.default_rng(0)
    return (1.2 * rng.normal(size=CLASSES) + 0.5 * rng.normal(size=(6, CLASSES))).astype(np.float32)


@pytest.fixture
def known(rows: np.ndarray) -> golden.Golden:
    answers = [golden.Answer(f"picture {number}", row) for number, row in enumerate(rows)]
    return golden.Golden([], answers, [np.zeros((1, 1, 3), np.uint8)] * len(rows))


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_the_recorded_answers_pass(precision: str, rows: np.ndarray, known: golden.Golden) -> None:
    agreement.check(Answering(precision, rows), LABELS, known)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_a_class_out_of_place_is_refused_though_no_picture_strays(
    precision: str, rows: np.ndarray, known: golden.Golden
) -> None:
    """One class by 1.5 of its spread, which is far too little of a thousand classes' to show in a picture."""
    allowed, wrong = bounds.of(precision), rows.copy()
    wrong[:, 7] += rows[:, 7] * 1.5 * allowed.of_class
    assert max(map(golden.error, wrong, rows)) < allowed.picture
    with pytest.raises(GoldenError, match=r"^class 'class 7': its logits of all golden pictures"):
        agreement.check(Answering(precision, wrong), LABELS, known)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_a_picture_that_strays_is_refused(precision: str, rows: np.ndarray, known: golden.Golden) -> None:
    wrong = rows.copy()
    wrong[3] += 1.5 * bounds.of(precision).picture * rows[2]
    with pytest.raises(GoldenError, match=r"^golden picture picture 3: .*its logits are"):
        agreement.check(Answering(precision, wrong), LABELS, known)
