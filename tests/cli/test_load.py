"""The load commands, against a server whose behaviour is known."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.load.conftest import serving
from tests.load.recordings import recorded, run_folder
from typer.testing import CliRunner

from visionserve.cli import app
from visionserve.cli.load import session as sessions
from visionserve.load.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from visionserve.load.sending.generator import Session


@pytest.fixture
def run_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a load command with a fake server instead of TorchServe; returns its exit code and output."""

    def call(*arguments: str, **settings: float) -> tuple[int, str]:
        @contextmanager
        def opened(*_: Any, **__: Any) -> Iterator[Session]:
            with serving(tmp_path, **settings) as session:
                yield session

        monkeypatch.setattr(sessions, "opened", opened)
        result = CliRunner().invoke(
            app, ["load", *arguments, "--root", str(tmp_path), "--out", str(tmp_path / "out")]
        )
        return result.exit_code, result.output

    return call


def test_a_run_that_meets_its_conditions_is_0_and_leaves_its_report(run_load: Any, tmp_path: Path) -> None:
    code, said = run_load(
        "run", "fake", "--users", "2", "--duration", "3s", "--warm-up", "0.5s", "--fail-if", "p99>5s", service=0.02
    )
    assert (code, "invalid:" in said) == (0, False), said
    for word in ("throughput", "latency p50", "latency p95", "latency p99", "failed or wrong"):
        assert word in said
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert {
        "report.html",
        "report.md",
        "report.json",
        "samples.parquet",
        "locust.html",
        "locust_stats.csv",
    } <= written
    header = json.loads((tmp_path / "out" / "run.json").read_text())
    assert header["plan"]["users"] == 2
    assert header["finished"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("duration", "condition", "code", "why"),
    [("3s", "p99>1ms", 1, "failed: p99 > 1 ms"), ("0.5s", "p99>5s", 2, "invalid:")],
    ids=["not-met", "invalid"],
)
def test_a_run_that_fails_or_is_invalid_says_so_by_its_exit_code(
    duration: str, condition: str, code: int, why: str, run_load: Any
) -> None:
    options = ("--users", "2", "--duration", duration, "--warm-up", "0.5s", "--fail-if", condition)
    got, said = run_load("run", "fake", *options, service=0.02)
    assert (got, why in said) == (code, True), said


@pytest.mark.parametrize(
    ("seconds", "condition", "code", "said"),
    [
        (30, "p99>50ms", 0, "report:"),
        (30, "p99>10ms", 1, "p99 > 10 ms, it is 20.0 ms"),
        (0.5, "p99>50ms", 2, "at least 100 are needed"),
        (0.5, "p99>10ms", 2, "p99 > 10 ms, it is 20.0 ms"),
    ],
)
def test_thresholds_decide_the_exit_code(
    seconds: float, condition: str, code: int, said: str, tmp_path: Path
) -> None:
    folder = run_folder(tmp_path, Plan(rate=100, warm_up=0, duration=seconds), recorded(100, seconds))
    result = CliRunner().invoke(app, ["load", "report", str(folder), "--fail-if", condition])
    assert (result.exit_code, said in result.output) == (code, True), result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "--fail-if", "speed>3"), "there is no 'speed'"),
        (("run", "--duration", "forever"), "'forever' is no duration"),
        (("run", "--rate", "5", "--users", "5"), "either a rate"),
        (("run", "--mix", "golden=many"), "'many' is no weight"),
        (("search", "throughput>5"), "is no latency objective"),
        (("sweep", "--users", "0"), "all above 0"),
        (("sweep", "--set", "batchSize"), "is no setting"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(arguments: tuple[str, ...], said: str) -> None:
    from visionserve.load.errors import LoadError

    with pytest.raises(LoadError, match=said):
        result = CliRunner().invoke(app, ["load", *arguments], catch_exceptions=False)
        assert result.exit_code != 0
