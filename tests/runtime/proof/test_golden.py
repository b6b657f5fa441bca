from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from visionserve.runtime.errors import GoldenError
from visionserve.runtime.proof import drawing, golden

LABELS = ["cat", "dog", "owl"]
RIGHT = np.array([2.0, 0.5, -1.0], np.float32)
KNOWN = [golden.Answer("photograph", RIGHT)]


def row(*logits: float) -> torch.Tensor:
    return torch.tensor([logits])


def test_the_same_logits_pass() -> None:
    golden.verify(KNOWN, torch.from_numpy(RIGHT)[None], LABELS, tolerance=1e-6)


def test_another_top_class_is_refused_with_both_labels() -> None:
    with pytest.raises(
        GoldenError, match=r"photograph: .*'cat' with 0\.7856 was right, 'dog' with 0\.6285 is given"
    ):
        golden.verify(KNOWN, row(1.0, 2.0, 0.5), LABELS, tolerance=0.2)


def test_logits_that_stray_are_refused_though_the_class_is_right() -> None:
    golden.verify(KNOWN, row(2.01, 0.5, -1.0), LABELS, tolerance=0.01)
    with pytest.raises(
        GoldenError, match=r"its logits are 3\.\d+% from those it was built with, where 1% is allowed"
    ):
        golden.verify(KNOWN, row(2.1, 0.5, -1.0), LABELS, tolerance=0.01)


def test_a_nan_is_refused() -> None:
    with pytest.raises(GoldenError):
        golden.verify(KNOWN, torch.full((1, 3), math.nan), LABELS, tolerance=1.0)


@given(st.floats(-50, 50), st.floats(0.1, 10), st.integers(0, 1000))
def test_an_offset_counts_nothing_and_a_common_scale_neither(offset: float, scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    right, strays = (rng.normal(size=20).astype(np.float32) for _ in range(2))
    got = right + 0.1 * strays
    before = golden.error(got, right)
    assert golden.error(got + np.float32(offset), right) == pytest.approx(before, rel=1e-2)
    scaled = np.float32(scale)
    assert golden.error(scaled * got, scaled * right) == pytest.approx(before, rel=1e-3)


def test_unrelated_logits_are_far() -> None:
    rng = np.random.default_rng(0)
    first, second = (rng.normal(size=1000).astype(np.float32) for _ in range(2))
    assert 1.3 < golden.error(first, second) < 1.5


def test_no_larger_error_than_the_margin_can_change_the_class() -> None:
    """Which is why the class is not asked for beside the error."""
    rng = np.random.default_rng(1)
    for _ in range(1000):
        right = rng.normal(size=5).astype(np.float32)
        got = right + rng.normal(size=5).astype(np.float32)
        best, second = np.sort(right)[::-1][:2]
        if got.argmax() != right.argmax():
            moved = golden.error(got, right) * np.linalg.norm(right - right.mean())
            assert moved * math.sqrt(2) >= best - second - 1e-5


@pytest.mark.parametrize("answers", [[], [golden.Answer("photograph", RIGHT[:2])]])
def test_a_record_of_other_classes_is_refused(answers: list[golden.Answer]) -> None:
    with pytest.raises(GoldenError, match=r"golden\.json does not fit"):
        golden.verify(answers, torch.from_numpy(RIGHT)[None], LABELS, tolerance=1e-3)


def test_answers_survive_json() -> None:
    known = [golden.Answer("photograph", RIGHT, fast=(1,))]
    labels, (answer,) = golden.from_json(golden.to_json(LABELS, known))
    assert (answer.picture, answer.logits.tolist(), answer.fast) == ("photograph", RIGHT.tolist(), (1,))
    golden.require_labels(labels, LABELS)


@pytest.mark.parametrize("labels", [["dog", "cat", "owl"], ["cat", "dog"], ["cat", "dog", "eel"]])
def test_other_labels_or_another_order_are_refused(labels: list[str]) -> None:
    with pytest.raises(GoldenError, match="the labels are not those that the golden answers are of"):
        golden.require_labels(golden.digest(LABELS), labels)


def test_classes_that_are_nearly_as_probable_are_right_too() -> None:
    assert golden.Answer("photograph", np.array([2.0, 1.95, 0.0], np.float32)).best() == [0, 1]
    assert golden.Answer("photograph", RIGHT).best() == [0]
    assert golden.Answer("photograph", RIGHT, fast=(2, 0)).best() == [0, 2]


def test_any_label_has_a_digest() -> None:
    assert golden.digest(["\ud800"]) != golden.digest(["\ud801"])


NAN = {"picture": "x", "logits": "AADAfw=="}


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"labels": "", "answers": [{}]},
        {"labels": "", "answers": [{"picture": "x", "logits": "*"}]},
        {"labels": "", "answers": [{"picture": "x", "logits": "AAA="}]},
        {"labels": "", "answers": [NAN]},
        {"labels": "", "answers": [{"picture": "x", "logits": "AAAAAA==", "fast": [1]}]},
        {"labels": "", "answers": [{"picture": "../x", "logits": "AAAAAA=="}]},
    ],
)
def test_a_damaged_record_is_refused(document: Any) -> None:
    with pytest.raises(GoldenError, match=r"golden\.json"):
        golden.from_json(document)


def test_the_pictures_are_the_same_every_time() -> None:
    assert drawing.pictures.__wrapped__() == drawing.pictures()


def test_a_photograph_costs_a_decoder_what_a_photograph_costs() -> None:
    size = len(drawing.encode(drawing.photograph(1, 500, 375), "JPEG"))
    assert 90_000 < size < 130_000
