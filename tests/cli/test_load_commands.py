"""`load search`, `soak` and `sweep` as users run them, each once against a real TorchServe."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import REPOSITORY
from tests.support import quick

from visionserve.server.properties import Properties

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Path:
    """A project with the quick model's archive, and nothing that serves it."""
    folder = tmp_path_factory.mktemp("load-commands")
    quick.build(project, "roomy", max_pixels=4_000_000)  # the corpus has pictures of three million
    for name in ("models", "handlers", "model_store", "weights"):
        (folder / name).symlink_to(project / name)
    (folder / "tests").symlink_to(REPOSITORY / "tests")
    Properties.read(project / "config.properties").on_free_ports().write(folder / "config.properties")
    return folder


def load(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A load command run to its end, its results in the folder `out` named after the command."""
    command = [sys.executable, "-m", "visionserve", "load", *arguments, "--root", str(root)]
    return subprocess.run(
        [*command, "--out", str(root / arguments[0])], cwd=root, capture_output=True, text=True, check=False
    )


def reported(root: Path, kind: str) -> dict[str, Any]:
    """What the command's report says."""
    assert (root / kind / "report.html").stat().st_size > 5_000
    document: dict[str, Any] = json.loads((root / kind / "report.json").read_text())
    return document


def test_search_finds_a_rate_that_holds_and_reports_it(root: Path) -> None:
    done = load(root, "search", "p99<1s", "roomy", "--probe", "1s", "--confirm", "2s", "--warm-up", "0.3s")
    assert "Traceback" not in done.stderr, done.stderr
    found = json.loads((root / "search" / "search.json").read_text())
    assert (done.returncode, found["rate"] > 0) == (0, True), done.stdout + done.stderr
    assert any(probe["confirming"] and probe["holds"] for probe in found["probes"])
    assert "requests/s at p99 < 1" in reported(root, "search")["sentence"]


def test_soak_asks_at_the_given_rate_and_reports_growth(root: Path) -> None:
    done = load(root, "soak", "roomy", "--rate", "5", "--duration", "20s", "--warm-up", "2s")
    assert "Traceback" not in done.stderr, done.stderr
    header = json.loads((root / "soak" / "run.json").read_text())
    assert header["plan"]["rate"] == 5
    assert header["finished"]
    report = reported(root, "soak")
    assert "at 5 requests/s" in report["sentence"]
    if "invalid:" in done.stderr:  # cores that others use too; the report then says so as well
        assert done.returncode in (1, 2), done.stderr
    else:  # a young server may still grow, and then the report says so
        assert done.returncode == (1 if report["soak"]["grows"] else 0), done.stdout + done.stderr


def test_sweep_serves_each_setting_and_reports_every_point(root: Path) -> None:
    sizes = ("--set", "batchSize=1,4", "--users", "2")
    done = load(root, "sweep", "roomy", *sizes, "--duration", "4s", "--warm-up", "1s")
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads((root / "sweep" / "sweep.json").read_text())
    assert [point["settings"] for point in document["points"]] == [{"batchSize": 1}, {"batchSize": 4}]
    assert document["failures"] == {}
    assert "of 2 points are beaten by no other in both" in reported(root, "sweep")["sentence"]
