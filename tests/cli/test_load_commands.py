"""`load search`, `soak` and `sweep` as users run them, each once against a real TorchServe."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch
import yaml
from tests.conftest import EXACT, REPOSITORY
from tests.support import quick

from visionserve.archiver import builder
from visionserve.archiver.models import catalog
from visionserve.server.settings.properties import Properties

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

# A network that takes as long on every machine, and leaves the cores to those who send.
PACED = """
import time
import torch

class Paced(torch.nn.Linear):
    def __init__(self, num_classes):
        super().__init__(3, num_classes)

    def forward(self, pictures):
        time.sleep(0.02)
        return super().forward(pictures.mean(dim=(2, 3)))
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Path:
    """A project with the quick model's archive, and nothing that serves it."""
    folder = tmp_path_factory.mktemp("load-commands")
    quick.build(project, "roomy", max_pixels=4_000_000, workers=1)  # the corpus has pictures of three million
    for name in ("models", "handlers", "model_store", "weights"):
        (folder / name).symlink_to(project / name)
    (folder / "tests").symlink_to(REPOSITORY / "tests")
    Properties.read(project / "config.properties").on_free_ports().write(folder / "config.properties")
    return folder


@pytest.fixture
def paced(project: Path) -> str:
    """The name of a model whose service takes a known time."""
    (project / "paced.py").write_text(PACED)
    torch.manual_seed(0)
    torch.save(torch.nn.Linear(3, len(quick.LABELS)).state_dict(), project / "weights" / "paced.pth")
    handler = {
        **EXACT,
        "architecture": "paced:Paced",
        "weights": "paced.pth",
        "labels": "models/demo/colours.txt",
        "input": {"resize": 64, "crop": 64, "mean": list(quick.MEAN), "std": list(quick.STD)},
    }
    source = project / "models" / "paced.yaml"
    source.write_text(yaml.safe_dump({"maxBatchDelay": 1, "handler": handler}))
    builder.build(project, catalog.read(source), source)
    return source.stem


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


@pytest.mark.manual  # a minute, and a machine that nothing else uses; tests/load searches with less
def test_search_finds_a_rate_that_holds_and_reports_it(root: Path, paced: str) -> None:
    # A schedule whose thirds are alike, so that a short run is believed; and no halving, so that a rate which does
    # not hold for long is followed by one far below it.
    traffic = ("--mix", "golden=1", "--seed", "3")
    options = ("--probe", "1s", "--confirm", "6s", "--warm-up", "1s", "--precision", "0.5")
    done = load(root, "search", "p99<300ms", paced, *traffic, *options)
    assert "Traceback" not in done.stderr, done.stderr
    found = json.loads((root / "search" / "search.json").read_text())
    assert done.returncode == 0, done.stdout + done.stderr
    assert 0 < found["rate"] < 1 / 0.02
    assert any(probe["confirming"] and probe["holds"] for probe in found["probes"])
    assert "requests/s at p99 < 300 ms" in reported(root, "search")["sentence"]


def test_soak_asks_at_the_given_rate_and_reports_growth(root: Path) -> None:
    done = load(root, "soak", "roomy", "--rate", "15", "--duration", "10s", "--warm-up", "1s")
    assert "Traceback" not in done.stderr, done.stderr
    header = json.loads((root / "soak" / "run.json").read_text())
    assert header["plan"]["rate"] == 15
    assert header["finished"]
    report = reported(root, "soak")
    assert "at 15 requests/s" in report["sentence"]
    if "invalid:" in done.stderr:  # cores that others use too; the report then says so as well
        assert done.returncode in (1, 2), done.stderr
    else:  # a young server may still grow, and then the report says so
        assert done.returncode == (1 if report["soak"]["grows"] else 0), done.stdout + done.stderr


def test_sweep_serves_each_setting_and_reports_every_point(root: Path) -> None:
    sizes = ("--set", "batchSize=1,4", "--users", "2")
    done = load(root, "sweep", "roomy", *sizes, "--duration", "2s", "--warm-up", "0.5s")
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads((root / "sweep" / "sweep.json").read_text())
    assert [point["settings"] for point in document["points"]] == [{"batchSize": 1}, {"batchSize": 4}]
    assert document["failures"] == {}
    assert "of 2 points are beaten by no other in both" in reported(root, "sweep")["sentence"]
