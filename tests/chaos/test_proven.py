"""What is proven: the way through the edge before anybody is told of a model, its answers as long as it serves."""

from __future__ import annotations

import subprocess
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest
import requests
from tests.chaos.conftest import loaded
from tests.chaos.served import COMMAND, PICTURE, REPOSITORY, Served, project
from tests.support import quick

from visionserve.server.settings.properties import Properties

if TYPE_CHECKING:
    from pathlib import Path

# A network that takes every class for its opposite while there is a file of that name.
FICKLE = """\
from pathlib import Path

from torchvision.models.resnet import BasicBlock, ResNet


class Fickle(ResNet):
    def forward(self, pixels):
        logits = super().forward(pixels)
        decided = bool(logits.isfinite().all())  # by values, so that nothing records one answer for good
        return -logits if decided and Path({flag!r}).exists() else logits


def make(num_classes):
    return Fickle(BasicBlock, [2, 2, 2, 2], num_classes=num_classes)
"""


@pytest.fixture
def flag(tmp_path: Path) -> Path:
    """A file that, once it is there, makes the only worker of the project's model answer wrongly."""
    flag = tmp_path / "wrong"
    root = quick.project(tmp_path)
    (root / "fickle.py").write_text(FICKLE.format(flag=str(flag)))
    quick.make(root / "weights" / "quick.pth")
    quick.build(root, "quick", workers=1, architecture="fickle:make")
    Properties.read(REPOSITORY / "config.properties").on_free_ports().write(root / "config.properties")
    return flag


@pytest.mark.slow
def test_one_that_answers_wrongly_is_taken_out_until_one_is_right(flag: Path, tmp_path: Path) -> None:
    with Served(tmp_path) as server:
        with loaded(server, clients=2) as traffic:
            flag.touch()
            server.wait_for("is replaced: quick answers ", 120)
            server.wait_for("no new instance: quick cannot be served: ", 240)
            ready = server.run("ready")
            wrong = traffic.take()
            answer = requests.post(f"{server.url}/predictions/quick", PICTURE, timeout=60)
            flag.unlink()
            server.wait_until_whole(180)
            traffic.wait_for(20)
        print(f"\na worker answers wrongly, and so does the next, for a while: {wrong}; after that {traffic}")  # noqa: T201
        assert "quick answers " in server.run("status").stdout
    assert {each.outcome[:5] for each in wrong.asked if each.outcome not in ("answered", "refused")} == {"wrong"}
    assert traffic.lost == {}
    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert int(answer.headers["Retry-After"]) >= 1
    assert ready.returncode == 1
    assert "quick cannot be served: " in ready.stdout


@pytest.mark.slow
def test_a_golden_picture_must_come_through_the_edge(tmp_path: Path) -> None:
    root = project(tmp_path, workers=1, server="limits: {body: 10}\n")
    done = subprocess.run(
        [*COMMAND, "serve", "quick"], cwd=root, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "quick is loaded and does not answer" in line
    assert "larger than 10 bytes" in line
    assert "ready quick" not in done.stdout
    assert not (root / ".visionserve" / "run").exists()
