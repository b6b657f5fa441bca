"""The arithmetic on a run's rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.benchmarks.runs import make_results

from benchmarks import plan
from benchmarks.results import Results, Spread, Workload, spread

if TYPE_CHECKING:
    from pathlib import Path

AT_32 = Workload(plan.RESNET50, "500x375", 32)


def test_a_rate_is_the_median_round_with_its_spread() -> None:
    assert make_results().rate(plan.STOCK, AT_32) == Spread(20.0, 10.0, 22.0)


def test_a_ratio_compares_within_a_round_so_a_slow_round_touches_both() -> None:
    assert make_results().ratio(plan.OURS["auto"], plan.STOCK, AT_32) == Spread(5.0, 4.5, 5.0)


def test_a_ratio_uses_only_rounds_that_both_have_and_the_other_answered() -> None:
    results = make_results()
    stock = results.of(plan.STOCK, AT_32)
    results.rounds.remove(stock[0])
    stock[1].rate = 0.0
    assert results.ratio(plan.OURS["auto"], plan.STOCK, AT_32) == Spread(4.5, 4.5, 4.5)


def test_what_was_not_measured_has_no_numbers() -> None:
    results = make_results()
    assert results.rate(plan.OURS["int8"], AT_32) is None
    assert results.ratio(plan.OURS["int8"], plan.STOCK, AT_32) is None
    assert results.rate(plan.STOCK, Workload(plan.VGG16, "500x375", 32)) is None
    assert spread([]) is None


def test_wrong_answers_and_errors_are_faults_of_their_contender() -> None:
    results = make_results()
    assert results.faulty() == {}
    first, second, _ = results.of(plan.STOCK, AT_32)
    first.wrong, first.examples = 2, ["a.jpg: 'red', right is 'blue'"]
    second.errors = {"status 503": 3, "closed by the server": 1}
    assert results.faulty() == {(plan.RESNET50, plan.STOCK): (2, 4, ["a.jpg: 'red', right is 'blue'"])}


def test_a_written_run_reads_back_the_same(tmp_path: Path) -> None:
    results = make_results()
    results.write(tmp_path / "deep" / "run.json")
    read = Results.read(tmp_path / "deep" / "run.json")
    assert read.about == results.about
    assert read.entries == results.entries
    assert [one.rate for one in read.rounds] == pytest.approx([one.rate for one in results.rounds])
    assert read.agreements == results.agreements
