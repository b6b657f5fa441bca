"""The search with real traffic, and the command line around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.load import queueing
from tests.load.conftest import serving

from visionserve.load import capacity, ceiling, thresholds
from visionserve.load.capacity import Search
from visionserve.load.search import GeneratorTooSlow, Probe

if TYPE_CHECKING:
    from pathlib import Path

    from tests.load.conftest import SessionMaker

OBJECTIVE = thresholds.objective("p99<400ms")
SERVICE = 0.04


def test_a_search_with_traffic_finds_what_theory_says_and_is_read_back(
    fake_session: SessionMaker, tmp_path: Path
) -> None:
    task = Search(OBJECTIVE, probe=4, confirm=6, warm_up=0.5, precision=0.2, curve=())
    told: list[Probe] = []
    found = task.run(fake_session(service=SERVICE), tmp_path / "search", told.append)
    # Probes of 4 s of a queue near its capacity are small samples, and the search stops at 20 %.
    assert found.rate == pytest.approx(queueing.md1_highest_rate(0.4, SERVICE), rel=0.35)
    searched = capacity.read(tmp_path / "search")
    assert searched.rate == found.rate
    assert list(searched.probes) == told == list(found.probes)
    assert searched.confirmed is not None
    assert searched.confirmed.plan.rate == found.rate
    assert searched.confirmed.plan.duration == 6
    assert OBJECTIVE.holds(searched.confirmed.judge(), searched.confirmed.samples)


def test_a_wrong_server_holds_no_rate(tmp_path: Path) -> None:
    with serving(tmp_path, service=0.01, wrong_every=20) as session:
        run = session.run(Search(OBJECTIVE, probe=3).plan(40, confirming=False), tmp_path / "run")
    probe = Search(OBJECTIVE).judge(run, confirming=False)
    assert not probe.holds
    assert "of requests failed" in probe.why


def test_a_generator_at_its_end_is_no_answer(tmp_path: Path) -> None:
    with serving(tmp_path) as session:
        run = session.run(
            Search(thresholds.objective("p99<5ms")).plan(20_000, confirming=False, seconds=1), tmp_path / "run"
        )
    with pytest.raises(GeneratorTooSlow, match="the generator"):
        Search(thresholds.objective("p99<5ms")).judge(run, confirming=False)


def test_the_generators_own_ceiling_is_measured_once_and_stored(
    fake_session: SessionMaker, tmp_path: Path
) -> None:
    session = fake_session()
    limit = ceiling.known(tmp_path, session)
    assert limit["requests_per_second"] > 100
    stored = (tmp_path / ceiling.FILE).read_text()
    assert ceiling.known(tmp_path, session) == limit
    assert (tmp_path / ceiling.FILE).read_text() == stored
