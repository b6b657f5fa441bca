"""A damaged archive is never served: not at the start, not later, not from the server's own copy of it."""

from __future__ import annotations

import os
import signal
import subprocess
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest
import requests
from tests.chaos.conftest import loaded, now
from tests.chaos.harness.archive_file import WEIGHTS, ArchiveFile, turn_a_bit, unpacked
from tests.chaos.harness.served import COMMAND, PICTURE, Served, project
from tests.support.packed import answering_otherwise

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.chaos.conftest import Told


@pytest.fixture
def archive(alone: Served) -> Iterator[ArchiveFile]:
    """The archive of the server with one worker, right again afterwards."""
    alone.wait_until_whole()
    file = ArchiveFile(alone.root / "model_store" / "quick.mar")
    yield file
    file.replace(good=True)
    assert alone.run("reload").returncode == 0
    alone.wait_until_whole()


def test_damaged_before_the_start_it_is_one_line(tmp_path: Path) -> None:
    root = project(tmp_path)
    ArchiveFile(root / "model_store" / "quick.mar").damage()
    done = subprocess.run(
        [*COMMAND, "serve", "quick"], cwd=root, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in done.stderr
    assert f"{WEIGHTS} is not what was built" in line
    assert not (root / ".visionserve" / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("own", [False, True], ids=["the store's", "the server's own"])
def test_damaged_while_it_serves_what_is_served_goes_on(
    own: bool, alone: Served, archive: ArchiveFile, told: Told
) -> None:
    with loaded(alone) as traffic:
        _own(alone).damage() if own else archive.replace(good=False)
        at = now()
        os.kill(alone.workers()[0], signal.SIGKILL)
        traffic.wait_for(100)
        alone.wait_until_whole()
    whose = "the server's own archive" if own else "the archive"
    told(f"{whose} damaged, the only worker killed", traffic, at)
    assert traffic.lost == {}


@pytest.mark.slow
def test_damaged_where_it_is_unpacked_the_instance_is_replaced(alone: Served) -> None:
    alone.wait_until_whole()
    weights = unpacked(alone.root / ".visionserve" / "run")
    with loaded(alone) as traffic:
        turn_a_bit(weights, weights.stat().st_size // 2)
        os.kill(alone.workers()[0], signal.SIGKILL)
        alone.wait_for(f"a worker of quick refuses to serve: the archive's {WEIGHTS} is not what was built", 120)
        alone.wait_until_whole()
        traffic.wait_for(100)
    # TorchServe answers 500 for a worker that does not come up, asked three times; it may not answer wrongly.
    assert [outcome for outcome in traffic.lost if not outcome.startswith("500 ")] == []


@pytest.mark.slow
@pytest.mark.usefixtures("archive")
def test_an_instance_is_not_started_from_a_damaged_archive(alone: Served) -> None:
    with loaded(alone) as traffic:
        _own(alone).damage()
        alone.of("java")[0].kill()
        alone.wait_for(f"no new instance: {alone.root}/.visionserve/run/archives", 120)
    assert traffic.lost == {}
    answer = requests.post(f"{alone.url}/predictions/quick", PICTURE, timeout=60)
    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert int(answer.headers["Retry-After"]) >= 1
    ready = alone.run("ready")
    assert ready.returncode == 1
    assert f"{WEIGHTS} is not what was built" in ready.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("archive")
def test_one_that_answers_wrongly_is_not_reloaded(alone: Served, tmp_path: Path, told: Told) -> None:
    store = alone.root / "model_store" / "quick.mar"
    java = alone.of("java")[0].pid
    with loaded(alone) as traffic:
        at = now()
        answering_otherwise(store, tmp_path / "quick.mar").replace(store)
        done = alone.run("reload")
        traffic.wait_for(100)
    told("an archive that answers wrongly reloaded, one worker", traffic, at)
    assert done.returncode == 1
    assert "quick cannot be served: " in done.stderr
    assert "golden picture" in done.stderr
    assert traffic.lost == {}
    assert traffic.count("refused") == 0
    assert alone.of("java")[0].pid == java
    assert alone.run("ready").returncode == 0


def _own(served: Served) -> ArchiveFile:
    """The copy that the server has made for itself."""
    (copy,) = (served.root / ".visionserve" / "run").glob("archives-*/quick.mar")
    return ArchiveFile(copy)
