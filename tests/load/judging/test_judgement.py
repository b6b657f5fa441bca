"""What samples say."""

from __future__ import annotations

import numpy as np
import pytest
from tests.load.recordings import recorded

from visionserve.load.judging import judgement
from visionserve.load.outcomes import Outcome
from visionserve.load.samples import WARM_UP


def test_latency_counts_from_the_schedule_and_service_from_sending() -> None:
    samples = recorded(100, 10, latency=20)
    samples["sent"] += 5_000_000
    judged = judgement.judge(samples, 10)
    assert judged.latency[50.0].value == pytest.approx(20)
    assert judged.service == pytest.approx(15)


def test_goodput_is_what_came_right_and_in_time() -> None:
    samples = recorded(100, 10, latency=20)
    samples["answered"][::4] += 80_000_000
    samples["outcome"][1::4] = Outcome.WRONG
    judged = judgement.judge(samples, 10, bound=50)
    assert judged.throughput.value == pytest.approx(75, rel=0.02)
    assert judged.goodput.value == pytest.approx(50, rel=0.02)
    assert judged.error_rate == pytest.approx(0.25)
    assert judged.outcomes[Outcome.WRONG] == 250


def test_failing_fast_does_not_improve_a_percentile() -> None:
    samples = recorded(100, 10, latency=20)
    samples["outcome"][::50] = Outcome.REJECTED
    samples["answered"][::50] = samples["scheduled"][::50]
    judged = judgement.judge(samples, 10)
    assert judged.latency[95.0].value == pytest.approx(20)
    assert judged.latency[99.0].value == np.inf
    assert judged.mean.value == pytest.approx(20)


def test_refused_bad_pictures_are_right_and_have_no_latency() -> None:
    samples = recorded(100, 10, latency=20)
    samples["outcome"][::2] = Outcome.REFUSED_BAD
    samples["answered"][::2] = samples["scheduled"][::2]
    judged = judgement.judge(samples, 10)
    assert judged.error_rate == 0
    assert judged.throughput.value == pytest.approx(100, rel=0.01)
    assert judged.latency[50.0].value == pytest.approx(20)


def test_warm_up_is_recorded_and_not_judged() -> None:
    samples = recorded(100, 10, latency=20)
    samples["phase"][:300] = WARM_UP
    samples["answered"][:300] += 500_000_000
    judged = judgement.judge(samples, 7)
    assert judged.requests == 700
    assert judged.offered == pytest.approx(100)
    assert judged.latency[99.0].value == pytest.approx(20)


def test_stages_add_up_and_are_left_out_when_the_server_does_not_tell() -> None:
    samples = recorded(100, 10, latency=20)
    assert judgement.judge(samples, 10).stages == {}
    samples["sent"] += 1_000_000
    samples["decode"], samples["inference"], samples["batch"] = 2, 12, 4
    judged = judgement.judge(samples, 10)
    assert judged.stages == pytest.approx({"generator": 1, "waiting": 5, "decode": 2, "inference": 12})
    assert judged.batch == 4


def test_a_run_without_an_answer_can_be_judged() -> None:
    samples = recorded(10, 10)
    samples["outcome"] = Outcome.RESET
    judged = judgement.judge(samples, 10)
    assert judged.error_rate == 1
    assert judged.throughput.value == 0
    assert judged.latency[50.0].value == np.inf
    empty = judgement.judge(samples[:0], 10)
    assert empty.requests == 0
    assert np.isnan(empty.latency[50.0].value)
