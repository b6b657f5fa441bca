"""The search for the highest rate, on servers whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from tests.load import queueing

from visionserve.load.errors import LoadError
from visionserve.load.judging import statistics
from visionserve.load.series import search
from visionserve.load.series.search import Probe

BOUND, SERVICE = 0.1, 0.01


def simulated(rate: float, confirming: bool) -> Probe:
    """Ten simulated minutes of an M/D/1 server, with the same random numbers at every rate."""
    latencies = queueing.md1_latencies(rate, SERVICE, int(600 * rate), np.random.default_rng(7))
    return Probe(rate, statistics.percentile(latencies, 99) <= BOUND, confirming)


def test_the_closed_form_is_that_of_the_simulation() -> None:
    rate = queueing.md1_highest_rate(BOUND, SERVICE)
    latencies = queueing.md1_latencies(rate, SERVICE, 400_000, np.random.default_rng(3))
    assert (latencies <= BOUND).mean() == pytest.approx(0.99, abs=0.002)


@pytest.mark.parametrize("start", [5.0, 60.0, 90.0, 300.0])
def test_an_md1_server_is_found_within_five_per_cent(start: float) -> None:
    found = search.search(simulated, start)
    assert found.rate == pytest.approx(queueing.md1_highest_rate(BOUND, SERVICE), rel=0.05)
    assert found.probes[-1].confirming
    assert found.probes[-1].rate == found.rate


def test_a_rate_that_does_not_hold_for_long_is_left_for_a_lower_one() -> None:
    found = search.search(lambda rate, long: Probe(rate, rate <= (80 if long else 100), long), start=64)
    assert 65 <= found.rate <= 80


def test_an_unbelievable_confirmation_is_run_again() -> None:
    answers = iter([False, True])

    def measure(rate: float, confirming: bool) -> Probe:
        held = next(answers) if confirming else rate <= 50
        return Probe(rate, held, confirming, valid=held)

    found = search.search(measure, start=50)
    first, second = (probe for probe in found.probes if probe.confirming)
    assert first.rate == second.rate == found.rate


def test_none_is_found_when_no_long_run_holds() -> None:
    assert search.search(lambda rate, long: Probe(rate, not long and rate < 10, long), start=8).rate == 0


def test_a_server_without_end_is_an_error() -> None:
    with pytest.raises(LoadError, match="no answer after"):
        search.search(lambda rate, long: Probe(rate, True, long), start=1)


def test_machines_are_planned_with_headroom_and_one_to_spare() -> None:
    # 1000 / (50 * 0.7) = 28.6
    assert search.machines(1000, 50) == 30
