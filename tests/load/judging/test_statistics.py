"""Percentiles and intervals against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from visionserve.load.judging import statistics
from visionserve.load.judging.statistics import Estimate

RNG = np.random.default_rng


@pytest.mark.parametrize("q", [50.0, 90.0, 99.0, 99.9])
def test_percentiles_of_exponential_samples_are_those_of_the_distribution(q: float) -> None:
    values = RNG(1).exponential(10, 200_000)
    estimate = statistics.percentile_estimate(values, q)
    exact = -10 * math.log(1 - q / 100)
    assert estimate.value == pytest.approx(exact, rel=0.03)
    assert estimate.low < estimate.value < estimate.high


def test_a_percentile_is_the_nearest_rank() -> None:
    values = np.arange(1.0, 101.0)
    assert [statistics.percentile(values, q) for q in (1, 50, 99, 99.9, 100)] == [1, 50, 99, 100, 100]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200), st.floats(0.1, 100))
def test_a_percentile_covers_its_share_and_no_more_than_it_must(values: list[float], q: float) -> None:
    array = np.array(values)
    value = statistics.percentile(array, q)
    assert (array <= value).mean() >= q / 100 - 1e-9
    assert (array < value).mean() < q / 100


@pytest.mark.parametrize("q", [50.0, 99.0])
def test_intervals_of_independent_samples_hold_the_truth_as_often_as_they_say(q: float) -> None:
    rng = RNG(2)
    exact = -math.log(1 - q / 100)
    estimates = [statistics.percentile_estimate(rng.exponential(1, 1000), q) for _ in range(300)]
    held = np.mean([estimate.low <= exact <= estimate.high for estimate in estimates])
    assert held >= 0.92


def test_dependent_samples_widen_the_interval() -> None:
    rng = RNG(3)
    noise = rng.normal(size=20_000)
    walk = np.empty_like(noise)
    level = 0.0
    for index, step in enumerate(noise):
        level = 0.99 * level + step
        walk[index] = level
    shuffled = rng.permutation(walk)
    # Autoregression of 0.99 makes a sample worth (1 - 0.99) / (1 + 0.99), a 199th, of an independent one.
    assert 60 < statistics.inflation(walk) < 500
    assert statistics.inflation(shuffled) < 4
    assert statistics.mean_estimate(walk).half_width > 5 * statistics.mean_estimate(shuffled).half_width


def test_too_few_samples_for_a_percentile_leave_it_open_above() -> None:
    estimate = statistics.percentile_estimate(np.arange(50.0), 99)
    assert estimate.high == math.inf
    assert math.isnan(statistics.percentile_estimate(np.zeros(0), 99).value)


def test_requests_that_were_never_answered_are_infinitely_late() -> None:
    values = np.concatenate([np.ones(97), np.full(3, np.inf)])
    assert statistics.percentile(values, 97) == 1
    assert statistics.percentile_estimate(values, 99).value == math.inf


def test_a_rate_counts_what_happened_inside_the_time() -> None:
    times = np.concatenate([np.arange(0, 10, 0.05), [-1.0, 11.0, 12.0]])
    estimate = statistics.rate_estimate(times, 0.0, 10.0)
    assert estimate.value == pytest.approx(20)
    assert estimate.low <= 20 <= estimate.high


def test_a_ratio_is_beyond_noise_only_if_its_parts_are() -> None:
    wide = statistics.ratio_estimate(Estimate(100, 80, 120), Estimate(110, 90, 130))
    narrow = statistics.ratio_estimate(Estimate(100, 99, 101), Estimate(110, 109, 111))
    assert wide.low < 1 < narrow.low
    assert narrow.value == pytest.approx(1.1)
    unknown = statistics.ratio_estimate(Estimate(100, 99, math.inf), Estimate(110, 109, 111))
    assert unknown.low == 0
    assert unknown.high == pytest.approx(1.1 * (111 / 110), rel=0.02)


def test_a_slope_is_found_and_its_interval_holds_it() -> None:
    rng = RNG(4)
    times = np.arange(1000.0)
    slopes = [statistics.slope_estimate(times, 3 + 0.02 * times + rng.normal(0, 5, 1000)) for _ in range(200)]
    assert np.mean([slope.low <= 0.02 <= slope.high for slope in slopes]) >= 0.9
    flat = statistics.slope_estimate(times, rng.normal(0, 5, 1000))
    assert flat.low <= 0 <= flat.high


def test_students_t_is_used_for_few_batches() -> None:
    values = RNG(5).normal(10, 1, 100_000)
    estimate = statistics.mean_estimate(values)
    least = stats.t.ppf(0.975, 19) * values.std(ddof=1) / math.sqrt(len(values))
    assert estimate.half_width >= least * 0.999
