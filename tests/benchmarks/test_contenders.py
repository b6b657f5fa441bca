"""A very small benchmark in which every contender really runs; `make test-benchmark`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.conftest import REPOSITORY

pytest.importorskip("litserve", reason="the benchmark group is not installed")
from benchmarks import plan
from benchmarks.plan import Plan
from benchmarks.results import Results, Workload
from benchmarks.run import Run

if TYPE_CHECKING:
    from pathlib import Path

SMALL = Plan(
    {plan.RESNET50: [("500x375", 1), ("224x224", 8)]},
    rounds=1,
    seconds=0.5,
    warm_up=0.2,
    starts=1,
    agreement={plan.RESNET50: (8, 1)},
)


@pytest.mark.manual
@pytest.mark.timeout(900)
def test_every_contender_answers_rightly(tmp_path: Path, resnet50_weights: Path) -> None:
    results = Results({})
    saved: list[int] = []
    Run(REPOSITORY, tmp_path, SMALL, results, lambda _: None, lambda: saved.append(len(results.rounds))).measure()
    assert {entry.name: entry.not_run for entry in results.entries if entry.not_run} == {}
    assert results.faulty() == {}
    for entry in results.entries:
        rate = results.rate(entry.name, Workload(plan.RESNET50, "500x375", 1))
        assert rate is not None
        assert rate.low > 0
    assert {one.variant for one in results.agreements} == set(plan.OURS)
    assert saved[-1] == len(results.rounds)
