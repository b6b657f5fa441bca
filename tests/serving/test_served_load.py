"""Load tests of a real TorchServe."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
from typing import TYPE_CHECKING

import pytest
from tests.conftest import REPOSITORY

from visionserve.load.outcomes import Outcome
from visionserve.load.plan import Plan
from visionserve.load.sending import corpus, generator
from visionserve.load.sending.generator import Session
from visionserve.project import Project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from visionserve.client import Client
    from visionserve.server.instance.launcher import TorchServe

MODEL = "demo-resnet18"
USERS = 8


@pytest.fixture
def session(server: TorchServe, client: Client, tmp_path: Path) -> Callable[[dict[str, float], float], Session]:
    """A session with the given mix of pictures and share of bad ones."""

    def make(mix: dict[str, float], bad_share: float) -> Session:
        archives = {MODEL: server.archives[MODEL]}
        sent = corpus.build(
            archives, {MODEL: 1}, lambda model, data: next(iter(client.predict(model, data))), mix, bad_share
        )
        sent.write(tmp_path / "corpus")
        facts = generator.facts(client, archives, REPOSITORY)
        return Session(Project(REPOSITORY).locustfile, client.inference, sent, tmp_path / "corpus", facts)

    return make


def test_every_good_picture_is_right_and_every_bad_one_refused(
    session: Callable[[dict[str, float], float], Session], tmp_path: Path
) -> None:
    run = session(dict(corpus.DEFAULT_MIX), 0.3).run(Plan(users=4, warm_up=1, duration=4), tmp_path / "run")
    outcomes = run.judge().outcomes
    assert outcomes[Outcome.OK] > 0
    assert outcomes[Outcome.REFUSED_BAD] > 0
    assert sum(outcomes.values()) == outcomes[Outcome.OK] + outcomes[Outcome.REFUSED_BAD]
    assert set(run.samples["status"]) == {200, 400}
    assert (run.samples["batch"] >= 1).all()
    assert run.header["server"][MODEL]["batchSize"] == 8
    assert set(run.processes) >= {"server", "worker 1"}


@pytest.mark.manual
@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed (Debian package wrk)")
def test_throughput_and_median_are_those_of_wrk(
    session: Callable[[dict[str, float], float], Session], client: Client, tmp_path: Path
) -> None:
    """Alternating rounds, so that what else the machine does meets both; medians within 5 %."""
    one = session({"golden": 1}, 0)
    picture = one.corpus.pictures[0]
    alone = corpus.Corpus((picture,), one.corpus.models)
    alone.write(tmp_path / "one")
    ours = Session(one.locustfile, one.host, alone, tmp_path / "one")
    script = tmp_path / "post.lua"
    script.write_text(
        f'local file = io.open("{tmp_path / "one" / picture.name}", "rb")\n'
        'wrk.method, wrk.body = "POST", file:read("*a")\n'
        'wrk.headers["Content-Type"] = "application/octet-stream"\n'
    )
    url = f"{client.inference}/predictions/{MODEL}"
    command = ["wrk", "-t1", f"-c{USERS}", "-d12s", "--latency", "--timeout", "60s", "-s", str(script), url]
    rates: tuple[list[float], list[float]] = ([], [])
    medians: tuple[list[float], list[float]] = ([], [])
    for turn in range(4):
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        rates[0].append(float(_found(r"Requests/sec:\s+([\d.]+)", printed)[0]))
        value, unit = _found(r"50%\s+([\d.]+)(ms|s)", printed)
        medians[0].append(float(value) * {"ms": 1, "s": 1000}[unit])
        judged = ours.run(Plan(users=USERS, warm_up=0, duration=12), tmp_path / f"run-{turn}").judge()
        rates[1].append(judged.throughput.value)
        medians[1].append(judged.service)
    print(f"requests/s: wrk {rates[0]}, ours {rates[1]}; median ms: wrk {medians[0]}, ours {medians[1]}")  # noqa: T201
    assert statistics.median(rates[1]) == pytest.approx(statistics.median(rates[0]), rel=0.05)
    assert statistics.median(medians[1]) == pytest.approx(statistics.median(medians[0]), rel=0.05)


def _found(pattern: str, text: str) -> tuple[str, ...]:
    match = re.search(pattern, text)
    assert match is not None, text
    return match.groups()
