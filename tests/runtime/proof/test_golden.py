from __future__ import annotations

import math

import pytest
import torch

from visionserve.runtime.errors import GoldenError
from visionserve.runtime.proof import golden

LABELS = ["cat", "dog", "owl"]
ROW = torch.tensor([[0.7, 0.2, 0.1]])
NAMES = ["photograph"]


def test_the_same_probabilities_pass() -> None:
    golden.verify(golden.record(NAMES, ROW), ROW, LABELS, tolerance=1e-3)


def test_another_top_class_is_refused_with_both_labels() -> None:
    with pytest.raises(GoldenError, match=r"photograph: expected 'cat' with 0\.7000, got 'dog' with 0\.6000"):
        golden.verify(golden.record(NAMES, ROW), torch.tensor([[0.3, 0.6, 0.1]]), LABELS, tolerance=1e-3)


def test_a_probability_that_strays_is_refused() -> None:
    with pytest.raises(GoldenError, match=r"'cat' was 0\.7000 when built and is 0\.6900 here"):
        golden.verify(golden.record(NAMES, ROW), torch.tensor([[0.69, 0.2, 0.11]]), LABELS, tolerance=1e-3)


def test_a_nan_is_refused() -> None:
    with pytest.raises(GoldenError):
        golden.verify(golden.record(NAMES, ROW), torch.full((1, 3), math.nan), LABELS, tolerance=1e-3)


def test_classes_recorded_as_near_equals_may_change_places() -> None:
    expected = golden.record(NAMES, torch.tensor([[0.4005, 0.3995, 0.2]]))
    golden.verify(expected, torch.tensor([[0.3998, 0.4002, 0.2]]), LABELS, tolerance=1e-3)


@pytest.mark.parametrize("index", [-1, 3, 999])
def test_a_record_of_other_classes_is_refused(index: int) -> None:
    other = [golden.GoldenAnswer("photograph", ((index, 0.7),))]
    with pytest.raises(GoldenError, match=r"golden\.json does not fit"):
        golden.verify(other, ROW, LABELS, tolerance=1e-3)
    with pytest.raises(GoldenError, match=r"golden\.json does not fit"):
        golden.verify([], ROW, LABELS, tolerance=1e-3)


def test_answers_survive_json() -> None:
    answers = golden.record(NAMES, ROW)
    assert golden.from_json(golden.to_json(answers)) == answers


@pytest.mark.parametrize("document", [[{}], [{"picture": "x"}], [1], [{"picture": "x", "top": [["a", "b"]]}]])
def test_a_damaged_record_is_refused(document: list[dict[str, object]]) -> None:
    with pytest.raises(GoldenError, match=r"golden\.json"):
        golden.from_json(document)


def test_the_pictures_are_the_same_every_time() -> None:
    assert golden.pictures.__wrapped__() == golden.pictures()


def test_a_photograph_costs_a_decoder_what_a_photograph_costs() -> None:
    size = len(golden.encode(golden.photograph(1, 500, 375), "JPEG"))
    assert 90_000 < size < 130_000
