"""Each target is measured from the rounds that it names."""

from __future__ import annotations

import pytest
from tests.benchmarks.runs import make_results

from benchmarks import plan
from benchmarks.results import Spread, Workload
from benchmarks.targets import TARGETS, Target


def target(what: str) -> Target:
    (found,) = (one for one in TARGETS if one.what == what)
    return found


def test_a_ratio_that_reaches_its_floor() -> None:
    over_stock = target("over stock with 1 worker, 32 clients, auto")
    measured = over_stock.measure(make_results())
    assert measured == Spread(5.0, 4.5, 5.0)
    assert over_stock.met(measured)


def test_a_ratio_below_its_floor_is_missed() -> None:
    over_stock = target("over stock with 1 worker, 32 clients, fp32")
    results = make_results()
    for one in results.of(plan.OURS["fp32"], Workload(plan.RESNET50, "500x375", 32)):
        one.rate *= 0.9
    measured = over_stock.measure(results)
    assert measured is not None
    assert measured.median == pytest.approx(2.25)
    assert not over_stock.met(measured)


def test_the_share_of_the_engine_alone() -> None:
    measured = target("share of the engine alone, 32 clients, auto").measure(make_results())
    assert measured is not None
    assert (measured.median, measured.low) == pytest.approx((100 / 110, 0.9))


def test_the_share_is_of_the_engines_better_batch_size() -> None:
    results = make_results()
    for one in results.of(plan.ENGINES["auto"], Workload(plan.RESNET50, "500x375", 1)):
        one.rate *= 2
    measured = target("share of the engine alone, 32 clients, auto").measure(results)
    assert measured is not None
    assert measured.median == pytest.approx(50 / 110)


def test_latency_beyond_the_work_is_taken_round_by_round() -> None:
    measured = target("p50 at 1 client beyond decode, resize and engine, auto").measure(make_results())
    assert measured is not None
    assert measured.median == pytest.approx(2.0)  # 10 - 8, 20 - 18, 10.1 - 9


def test_agreement_counts_all_pictures_and_shows_the_worst_set() -> None:
    agreement = target("top-1 agreement with torch fp32, auto")
    measured = agreement.measure(make_results())
    assert measured is not None
    assert (measured.median, measured.low) == pytest.approx((100 * 636 / 640, 99.2))
    assert not agreement.met(measured)


def test_memory_is_the_largest_worker_over_stocks() -> None:
    results = make_results()
    entry = results.entry(plan.OURS["auto"], plan.RESNET50)
    assert entry is not None
    entry.workers = [{"rss": 1125.0}, {"rss": 50.0}]
    memory = target("resident memory of a worker over stock's, auto")
    measured = memory.measure(results)
    assert measured == Spread(1.25, 1.25, 1.25)
    assert not memory.met(measured)


def test_what_was_not_run_is_not_measured() -> None:
    results = make_results()
    assert {one.what for one in TARGETS if "int8" in one.what and one.measure(results) is not None} == set()
