"""What makes a run invalid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.load.recordings import recorded

from visionserve.load.judging import judgement, validity
from visionserve.load.plan import Plan

if TYPE_CHECKING:
    from visionserve.load.samples import Samples

RATE, SECONDS = 100.0, 30.0
PLAN = Plan(rate=RATE, warm_up=0, duration=SECONDS)


def rules(
    samples: Samples, plan: Plan = PLAN, bound: float | None = None, ceiling: float | None = None
) -> list[str]:
    judged = judgement.judge(samples, plan.duration, bound)
    return [objection.rule for objection in validity.objections(samples, plan, judged, ceiling)]


def test_an_even_run_is_valid() -> None:
    assert rules(recorded(RATE, SECONDS)) == []


@pytest.mark.parametrize(("lag", "bound", "invalid"), [(1.0, None, False), (5.0, None, True), (5.0, 250, False)])
def test_late_requests_count_against_the_bound(lag: float, bound: float | None, invalid: bool) -> None:
    samples = recorded(RATE, SECONDS, latency=20)
    samples["sent"][::50] += int(lag * 1e6)
    assert rules(samples, bound=bound) == (["lag"] if invalid else [])


def test_requests_sent_after_the_end_were_not_sent_in_time() -> None:
    samples = recorded(RATE, SECONDS)
    late = len(samples) // 50
    samples["sent"][-late:] = samples["scheduled"][-1] + int(2e9)
    assert "rate" in rules(samples)


def test_a_schedule_given_up_is_noticed() -> None:
    assert "rate" in rules(recorded(RATE, SECONDS * 0.8))
    assert "rate" in rules(recorded(RATE, SECONDS)[:0])


def test_a_generator_that_uses_a_whole_core_is_noticed() -> None:
    samples = recorded(RATE, SECONDS)
    samples["cpu"] = samples["answered"] * 0.95
    assert rules(samples) == ["cpu"]
    # In two processes each uses half as much.
    samples["generator"][::2] = 1
    samples["cpu"] = samples["answered"] * 0.48
    assert rules(samples) == []


def test_requests_held_back_by_the_cap_make_a_run_invalid() -> None:
    samples = recorded(RATE, SECONDS)
    samples["capped"][500] = 1
    assert rules(samples) == ["in-flight"]


def test_a_rate_near_the_generators_ceiling_is_not_believed() -> None:
    assert rules(recorded(RATE, SECONDS), ceiling=120) == ["ceiling"]
    assert rules(recorded(RATE, SECONDS), ceiling=1000) == []


def test_a_growing_queue_is_no_steady_state() -> None:
    samples = recorded(RATE, SECONDS)
    samples["answered"] += np.linspace(0, 2e9, len(samples)).astype(np.int64)
    assert "unsteady" in rules(samples)


def test_a_falling_rate_is_no_steady_state() -> None:
    slow, fast = recorded(RATE / 2, 10), recorded(RATE, 20)
    for name in ("scheduled", "sent", "answered"):
        slow[name] += int(20e9)
    samples = np.concatenate([fast, slow])
    assert rules(samples, Plan(users=8, warm_up=0, duration=SECONDS)) == ["unsteady"]


def test_noise_of_few_samples_is_no_unsteadiness() -> None:
    rng = np.random.default_rng(6)
    unsteady = 0
    for _ in range(40):
        samples = recorded(20, 20, gaps=rng)
        samples["answered"] = samples["scheduled"] + rng.gamma(4, 10e6, len(samples)).astype(np.int64)
        unsteady += "unsteady" in rules(samples, Plan(rate=20, warm_up=0, duration=20))
    assert unsteady <= 2


def test_a_handful_of_requests_is_no_measurement() -> None:
    assert "few" in rules(recorded(3, SECONDS), Plan(rate=3, warm_up=0, duration=SECONDS))
    assert rules(recorded(RATE, SECONDS)[:0], Plan(rate=0.1, warm_up=0, duration=SECONDS)) == ["few"]
