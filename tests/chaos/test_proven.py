"""What is proven: the way through the edge before anybody is told of a model, its answers as long as it serves."""

from __future__ import annotations

import subprocess
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest
import requests
from tests.chaos.conftest import loaded, now
from tests.chaos.harness.served import COMMAND, PICTURE, REPOSITORY, Served, project
from tests.support import quick

from visionserve.server.settings.properties import Properties

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.conftest import Told

# A network that takes every class for its opposite while there is a file of that name, for all or for one process.
FICKLE = """\
import os
from pathlib import Path

from torchvision.models.resnet import BasicBlock, ResNet

flag = Path({flag!r})


class Fickle(ResNet):
    def forward(self, pixels):
        logits = super().forward(pixels)
        decided = bool(logits.isfinite().all())  # by values, so that nothing records one answer for good
        return -logits if decided and flag.exists() and flag.read_text() in ("", str(os.getpid())) else logits


def make(num_classes):
    return Fickle(BasicBlock, [2, 2, 2, 2], num_classes=num_classes)
"""


def fickle(folder: Path, workers: int) -> Path:
    """A file that, once it is there, makes the model's workers answer wrongly: all, or the one it names."""
    flag = folder / "wrong"
    root = quick.project(folder)
    (root / "fickle.py").write_text(FICKLE.format(flag=str(flag)))
    quick.make(root / "weights" / "quick.pth")
    quick.build(root, "quick", workers=workers, architecture="fickle:make")
    Properties.read(REPOSITORY / "config.properties").on_free_ports().write(root / "config.properties")
    return flag


@pytest.mark.slow
def test_one_that_answers_wrongly_is_taken_out_until_one_is_right(tmp_path: Path) -> None:
    flag = fickle(tmp_path, workers=1)
    with Served(tmp_path) as server:
        with loaded(server, clients=2) as traffic:
            flag.touch()
            server.wait_for("is given up: quick answers ", 120)
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
def test_one_of_two_workers_that_answers_wrongly_is_taken_out(tmp_path: Path, told: Told) -> None:
    flag = fickle(tmp_path, workers=2)
    with Served(tmp_path) as server:
        with loaded(server) as traffic:
            at = now()
            named = flag.with_name("named")
            named.write_text(str(server.workers()[0]))
            named.replace(flag)
            # Either worker gets the golden picture that is asked every ten seconds.
            server.wait_for("is given up: quick answers ", 150)
            seconds = now() - at
            server.wait_until_whole()
            whole = now()
            traffic.wait_for(100)
        told(f"one of two workers answers wrongly, and is taken out after {seconds:.0f} s", traffic, at)
        assert "instances given up, quick answers " in server.run("status").stdout
    assert sum(traffic.lost.values()) == traffic.wrong > 0
    assert {each.outcome for each in traffic.asked if each.start > whole} == {"answered"}


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
