"""What `visionserve status` says of a server that is not well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visionserve.project import Project
from visionserve.server.orders.status import Status
from visionserve.server.orders.taking import Orders
from visionserve.server.run import record

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run


def test_why_it_is_not_ready_is_said_though_an_instance_does_not_answer(tmp_path: Path, visionserve: Run) -> None:
    project, socket = Project(tmp_path), tmp_path / "orders.sock"
    status = Status(
        is_ready=False,
        is_draining=False,
        trouble="quick cannot be served: it is damaged",
        instances={"b": f"unix:{tmp_path}/gone.sock"},
        workers_restarted=0,
        replaced={"Java ended with code -9": 1},
        reloads=0,
        edge_restarts=0,
    )
    with record.held(project):
        record.write(project, record.Running("http://127.0.0.1:1", "", {}, orders=str(socket)))
        taking = Orders(socket, lambda _: iter([status.write()]))
        try:
            done = visionserve("status", cwd=tmp_path)
        finally:
            taking.close()
    assert done.code == 0, done.err
    assert "b" in done.out and "does not answer" in done.out
    assert "not ready: quick cannot be served: it is damaged" in done.out
    assert "instances replaced, Java ended with code -9: 1" in done.out
