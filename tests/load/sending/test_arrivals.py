"""Schedules."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from visionserve.load.sending import arrivals


def first(count: int, kind: arrivals.Arrivals, **options: float) -> np.ndarray:
    return np.array(list(itertools.islice(arrivals.times(kind, **options), count)))  # type: ignore[arg-type]


@pytest.mark.parametrize("generators", [1, 3])
def test_poisson_gaps_are_exponential_whoever_shares_the_rate(generators: int) -> None:
    streams = [
        first(4000, "poisson", rate=200, seed=5, generator=turn, generators=generators)
        for turn in range(generators)
    ]
    end = min(stream[-1] for stream in streams)
    together = np.sort(np.concatenate(streams))
    gaps = np.diff(together[together <= end])
    assert stats.kstest(gaps, stats.expon(scale=1 / 200).cdf).pvalue > 0.01
    # Independent of each other as well: neighbours do not tell of each other.
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 4 / np.sqrt(len(gaps))


def test_poisson_counts_vary_as_much_as_they_should() -> None:
    times = first(20_000, "poisson", rate=100, seed=9)
    counts = np.histogram(times, np.arange(0, np.floor(times[-1])))[0]
    assert counts.var() / counts.mean() == pytest.approx(1, abs=0.3)


def test_constant_arrivals_are_equally_spaced_whoever_shares_the_rate() -> None:
    streams = [first(50, "constant", rate=10, seed=1, generator=turn, generators=4) for turn in range(4)]
    assert np.sort(np.concatenate(streams)) == pytest.approx(np.arange(200) / 10)


def test_the_same_seed_is_the_same_schedule_and_another_rate_stretches_it() -> None:
    one = first(100, "poisson", rate=10, seed=4)
    assert (first(100, "poisson", rate=10, seed=4) == one).all()
    assert first(100, "poisson", rate=20, seed=4) == pytest.approx(one / 2)
    assert (first(100, "poisson", rate=10, seed=5) != one).all()
