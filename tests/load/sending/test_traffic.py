"""Traffic against a real server whose behaviour is known: what the instrument shows is what happened."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.load import queueing
from tests.load.conftest import SessionMaker, serving

from visionserve.load import runs
from visionserve.load import samples as samples_module
from visionserve.load.judging import judgement, statistics
from visionserve.load.outcomes import Outcome
from visionserve.load.plan import Plan

if TYPE_CHECKING:
    from pathlib import Path

SERVICE = 0.01


STALL_AFTER, STALL = 2.0, 2.0


@pytest.fixture(scope="module")
def stalling(tmp_path_factory: pytest.TempPathFactory) -> dict[str, runs.Run]:
    """The same server with a stall of 2 s, asked in open and in closed loop."""
    folder = tmp_path_factory.mktemp("stalling")
    found = {}
    for name, plan in (
        ("open", Plan(rate=40, warm_up=1, duration=6, seed=3)),
        ("closed", Plan(users=1, warm_up=0.5, duration=6)),
    ):
        with serving(folder, service=SERVICE, stall_after=STALL_AFTER, stall=STALL) as session:
            found[name] = session.run(plan, folder / name)
    return found


@pytest.mark.slow
def test_the_open_loop_shows_a_stall_as_queueing_theory_says(stalling: dict[str, runs.Run]) -> None:
    samples = stalling["open"].samples
    due = (samples["scheduled"] - samples["sent"][0]) / 1e9
    theory = queueing.latencies(due, SERVICE, STALL_AFTER, STALL)[samples["phase"] == samples_module.MEASURED]
    late = judgement.latencies(judgement.measured(samples)) / 1000
    # About 2 s of requests wait for the end of the stall, and the backlog of 80 drains in another 1.3 s.
    for bound in (0.5, 1.0, 1.5):
        assert (theory > bound).mean() > 0.04
        assert (late > bound).mean() == pytest.approx((theory > bound).mean(), abs=0.03)
    p99 = stalling["open"].judge().latency[99.0].value / 1000
    assert p99 == pytest.approx(statistics.percentile(theory, 99), rel=0.05)


@pytest.mark.slow
def test_the_closed_loop_hides_the_same_stall(stalling: dict[str, runs.Run]) -> None:
    judged = stalling["closed"].judge()
    # One client meets the stall in one request of hundreds: p99 does not show it, only the longest does.
    assert judged.latency[99.0].value < 500
    assert judged.largest > 1900


@pytest.mark.slow
def test_a_run_through_a_stall_is_not_steady(stalling: dict[str, runs.Run]) -> None:
    run = stalling["open"]
    assert "unsteady" in [objection.rule for objection in run.objections(run.judge())]


@pytest.mark.slow
def test_stage_times_add_up_to_the_latency(stalling: dict[str, runs.Run]) -> None:
    judged = stalling["open"].judge(bound=200)
    assert judged.stages["inference"] == pytest.approx(1000 * SERVICE)
    assert judged.stages["decode"] == pytest.approx(0.5)
    assert sum(judged.stages.values()) == pytest.approx(judged.mean.value)
    assert judged.batch == 1
    assert judged.error_rate == 0
    assert judged.goodput.value < 0.9 * judged.throughput.value


@pytest.mark.slow
def test_the_same_seed_sends_the_same_requests(fake_session: SessionMaker, tmp_path: Path) -> None:
    session = fake_session(service=0.001)
    plan = Plan(rate=50, warm_up=0, duration=1.5, seed=11)
    sent = []
    for name in ("one", "two"):
        samples = session.run(plan, tmp_path / name).samples
        sent.append((samples["scheduled"] - samples["scheduled"][0], samples["picture"]))
    assert sent[0][0] == pytest.approx(sent[1][0], abs=1000)
    assert (sent[0][1] == sent[1][1]).all()


@pytest.mark.slow
def test_processes_share_the_rate_and_lose_no_record(fake_session: SessionMaker, tmp_path: Path) -> None:
    run = fake_session(service=0.001).run(
        Plan(rate=60, arrivals="constant", warm_up=0.5, duration=3, generators=2), tmp_path / "run"
    )
    assert set(run.samples["generator"]) == {0, 1}
    assert run.judge().offered == pytest.approx(60, rel=0.03)


def test_wrong_answers_and_rejections_are_told_apart(fake_session: SessionMaker, tmp_path: Path) -> None:
    run = fake_session(service=0.02, wrong_every=10, reject_above=4).run(
        Plan(rate=80, warm_up=0, duration=3), tmp_path / "run"
    )
    judged = run.judge()
    assert judged.outcomes[Outcome.WRONG] == pytest.approx(judged.outcomes[Outcome.OK] / 9, abs=3)
    # 50 of 80 requests/s can be served.
    assert judged.outcomes[Outcome.REJECTED] == pytest.approx(judged.requests * 3 / 8, rel=0.25)
    rejected = run.samples[run.samples["outcome"] == Outcome.REJECTED]
    assert set(rejected["status"]) == {503}
    assert set(rejected["type"]) == {b"ServiceUnavailableException"}
    assert judged.latency[99.0].value == np.inf
    assert judged.throughput.value < 50
    assert judged.error_rate == pytest.approx(1 - judged.outcomes[Outcome.OK] / judged.requests)


def test_timeouts_and_a_dead_server_are_told_apart(fake_session: SessionMaker, tmp_path: Path) -> None:
    slow = fake_session(service=0.001, stall_after=0.5, stall=30)
    run = slow.run(Plan(rate=40, warm_up=0, duration=1.5, timeout=0.5), tmp_path / "slow")
    assert run.judge().outcomes[Outcome.TIMEOUT] > 20
    nobody = replace(slow, host="http://127.0.0.1:9")
    run = nobody.run(Plan(users=1, warm_up=0, duration=1), tmp_path / "gone")
    assert set(run.samples["outcome"]) == {Outcome.RESET}


def test_a_generator_that_cannot_keep_up_declares_its_run_invalid(
    fake_session: SessionMaker, tmp_path: Path
) -> None:
    run = fake_session().run(Plan(rate=20_000, warm_up=0.5, duration=2, timeout=1, in_flight=50), tmp_path / "run")
    objections = run.objections(run.judge())
    assert "rate" in [objection.rule for objection in objections if objection.blames_generator]


def test_killing_a_run_loses_no_finished_record(fake_session: SessionMaker, tmp_path: Path) -> None:
    session = fake_session(service=0.005)
    folder = tmp_path / "run"
    plan = Plan(rate=60, arrivals="constant", warm_up=0, duration=600)
    header = runs.begin(folder, plan, session.corpus, {})
    command = [*session.command(plan), "--samples", str(folder), "--headless", "--users", "1"]
    command += ["--csv", str(folder / "locust"), "--csv-full-history", "--loglevel", "ERROR"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        journal = folder / "samples-0.journal"
        while not journal.exists() or journal.stat().st_size < 150 * 86:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    with journal.open("ab") as file:
        file.write(b"half a record")

    run = runs.read(folder)
    assert not run.finished
    sent = run.samples["scheduled"]
    # A constant schedule has a record every 1/60 s, without a gap, up to the last answers before the kill.
    assert len(sent) >= 150
    assert np.diff(sent) == pytest.approx(1e9 / 60, abs=1000)
    judged = run.judge()
    assert judged.throughput.value == pytest.approx(60, rel=0.1)
    assert run.objections(judged)[0].rule == "unfinished"
    assert json.loads((folder / "run.json").read_text()) == header
