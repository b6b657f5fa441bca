"""Conditions on a run."""

from __future__ import annotations

import pytest
from tests.load.recordings import recorded

from visionserve.load.errors import LoadError
from visionserve.load.judging import judgement, thresholds
from visionserve.load.outcomes import Outcome


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("p99<250ms", True),
        ("p99 <= 20ms", True),
        ("p99<0.01s", False),
        ("p99.9>19ms", True),
        ("mean<21ms", True),
        ("max>21ms", False),
        ("error_rate>0.9%", True),
        ("error_rate>1.1%", False),
        ("wrong_rate>=0.01", True),
        ("rejected_rate>0", False),
        ("throughput>98/s", True),
        ("goodput>150", False),
    ],
)
def test_conditions_hold_or_not(text: str, holds: bool) -> None:
    samples = recorded(100, 10, latency=20)
    samples["outcome"][::100] = Outcome.WRONG
    judged = judgement.judge(samples, 10)
    assert thresholds.parse(text).holds(judged, samples) == holds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("p99", "is no condition"),
        ("p99<fast", "is no condition"),
        ("p99<1.2.3ms", "'1.2.3' is no number"),
        ("p99<250", "ms or s"),
        ("p99<250%", "ms or s"),
        ("p101<5ms", "there is no 'p101'"),
        ("speed>3", "there is no 'speed'"),
        ("error_rate<5ms", "% or nothing"),
    ],
)
def test_what_is_no_condition_is_refused_with_what_would_be(text: str, said: str) -> None:
    with pytest.raises(LoadError, match=said):
        thresholds.parse(text)


@pytest.mark.parametrize("text", ["p99>250ms", "throughput<5", "error_rate<1%"])
def test_an_objective_is_a_latency_below_a_bound(text: str) -> None:
    with pytest.raises(LoadError, match="is no latency objective"):
        thresholds.objective(text)
    assert thresholds.objective("p99.9 < 1.5s").limit == 1500


def test_a_condition_is_told_with_its_units() -> None:
    told = [str(thresholds.parse(text)) for text in ("p99<0.25s", "error_rate>0.1%", "goodput>=100")]
    assert told == ["p99 < 250 ms", "error_rate > 0.1 %", "goodput >= 100"]
