"""The search with real traffic, and the command line around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.load.conftest import serving
from tests.load.recordings import recorded, run_folder

from visionserve.load import runs
from visionserve.load.judging import thresholds
from visionserve.load.plan import Plan
from visionserve.load.sending import ceiling
from visionserve.load.series import capacity
from visionserve.load.series.capacity import Search
from visionserve.load.series.search import GeneratorTooSlow, Probe
from visionserve.project import Project

if TYPE_CHECKING:
    from pathlib import Path

    from tests.load.conftest import SessionMaker

OBJECTIVE = thresholds.objective("p99<400ms")


@pytest.mark.slow
def test_a_search_is_made_with_traffic_and_read_back_as_it_was(fake_session: SessionMaker, tmp_path: Path) -> None:
    # The thirds of this seed's schedules are alike, so that a short run is believed.
    task = Search(OBJECTIVE, probe=1.5, confirm=2, warm_up=0.3, seed=3, precision=0.5, curve=(0.5,))
    told: list[Probe] = []
    found = task.run(fake_session(service=0.02), tmp_path / "search", told.append)
    searched = capacity.read(tmp_path / "search")
    assert searched.rate == found.rate
    assert list(searched.probes) == told == list(found.probes)
    assert [run.plan.rate for run in searched.runs] == [probe.rate for probe in told]
    confirming = [run.plan for probe, run in zip(told, searched.runs, strict=True) if probe.confirming]
    assert all(plan.duration == max(2, min(4, 300 / plan.rate)) for plan in confirming)
    # One server that takes 20 ms each gives 50 answers/s.
    assert all(probe.rate < 51 for probe in told if probe.holds)
    confirmed = searched.confirmed
    assert confirmed is not None
    assert found.rate > 15
    assert confirmed.plan.rate == found.rate
    assert OBJECTIVE.holds(confirmed.judge(), confirmed.samples)


@pytest.mark.slow
def test_a_wrong_server_holds_no_rate(tmp_path: Path) -> None:
    with serving(tmp_path, service=0.01, wrong_every=20) as session:
        run = session.run(Search(OBJECTIVE, probe=1.5, warm_up=1).plan(40, confirming=False), tmp_path / "run")
    probe = Search(OBJECTIVE).judge(run, confirming=False)
    assert not probe.holds
    assert "of requests failed" in probe.why


@pytest.mark.parametrize(("service", "servers_fault"), [(20, False), (80, True)])
def test_a_late_generator_is_no_answer_unless_the_server_is_slow_even_so(
    service: float, servers_fault: bool, tmp_path: Path
) -> None:
    samples = recorded(100, 10, latency=service)
    for name in ("sent", "answered"):
        samples[name] += 50_000_000
    run = runs.read(run_folder(tmp_path, Plan(rate=100, warm_up=0, duration=10), samples))
    task = Search(thresholds.objective("p99<60ms"))
    if servers_fault:
        assert not task.judge(run, confirming=False).holds
    else:
        with pytest.raises(GeneratorTooSlow, match="left 50"):
            task.judge(run, confirming=False)


@pytest.mark.slow
def test_the_generators_own_ceiling_is_measured_once_and_stored(
    fake_session: SessionMaker, tmp_path: Path
) -> None:
    session = fake_session()
    limit = ceiling.known(Project(tmp_path), session)
    assert limit["requests_per_second"] > 100
    stored = Project(tmp_path).ceiling.read_text()
    assert ceiling.known(Project(tmp_path), session) == limit
    assert Project(tmp_path).ceiling.read_text() == stored
