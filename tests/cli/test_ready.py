"""`visionserve ready` where a server has too much to do: who is right and slow is ready, nobody else."""

from __future__ import annotations

import threading
import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.server.edge.conftest import EXECUTABLES, starting

from visionserve.cli import ready
from visionserve.project import Project
from visionserve.runtime import archive
from visionserve.server.orders.status import Status
from visionserve.server.orders.taking import Orders
from visionserve.server.run import record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest
    from tests.cli.conftest import Run
    from tests.server.edge.conftest import Front

    from visionserve.archiver.builder import Built

WELL = Status(
    is_ready=True,
    is_draining=False,
    trouble="",
    instances={},
    workers_restarted=0,
    replaced={},
    reloads=0,
    edge_restarts=0,
    changed=[],
)


@contextmanager
def running(root: Path, front: Front, mar: Path) -> Iterator[None]:
    """A supervisor that says that all is well, and an edge whose instances answer rightly."""
    _, labels = archive.known_answers(zipfile.Path(mar))[0]
    for each in front.backends.values():
        each.document = {next(iter(labels)): 1.0}
    front.control.set_ready(ready=True)
    project = Project(root)
    taking = Orders(root / "orders.sock", lambda _: iter([WELL.write()]))
    with record.held(project):
        found = record.Running(
            front.url, "", {"m": str(mar)}, orders=str(root / "orders.sock"), own=f"unix:{front.edge.own}"
        )
        record.write(project, found)
        try:
            yield
        finally:
            taking.close()


def test_it_is_well_however_slow(
    tmp_path: Path, demo_archives: dict[str, Built], visionserve: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    mar = demo_archives["demo-resnet18"].archive.path
    with starting(EXECUTABLES[0]) as start:
        front = start()
        with running(tmp_path, front, mar):
            asked = visionserve("ready", cwd=tmp_path)
            assert (asked.code, asked.out) == (0, "ready\n"), asked.err
            monkeypatch.setattr(ready, "_ANSWERED", 0.5)
            for each in front.backends.values():
                each.busy, each.free = 2.0, threading.Semaphore(8)
            asked = visionserve("ready", cwd=tmp_path)
            assert (asked.code, asked.out) == (0, "ready, and so busy that answers take more than 0.5 s\n")
            front.control.set_ready(ready=False)
            assert visionserve("ready", cwd=tmp_path).code == 1
            front.control.set_ready(ready=True)
            front.edge.kill()
            assert visionserve("ready", cwd=tmp_path).code == 1


def test_it_is_not_well_however_fast(tmp_path: Path, demo_archives: dict[str, Built], visionserve: Run) -> None:
    mar = demo_archives["demo-resnet18"].archive.path
    with starting(EXECUTABLES[0]) as start:
        front = start()
        with running(tmp_path, front, mar):
            for each in front.backends.values():
                each.document = {"something else": 1.0}
            asked = visionserve("ready", cwd=tmp_path)
    assert asked.code == 1
    assert "m answers 'something else' for golden picture" in " ".join(asked.err.split())
