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
        changed=["server.yaml"],
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
    assert "instances given up, Java ended with code -9: 1" in done.out
    assert "server.yaml has been changed since this server started; it counts at the next start" in done.err


def test_a_server_that_starts_is_not_one_that_does_not_run(tmp_path: Path, visionserve: Run) -> None:
    project = Project(tmp_path)
    with record.held(project):
        done = visionserve("status", cwd=tmp_path)
        assert (done.code, done.out.startswith("starting (process ")) == (1, True)
        for command in (["reload"], ["reload", "--keys"]):
            done = visionserve(*command, cwd=tmp_path)
            assert done.code != 0
            assert "is still starting" in done.err
    assert visionserve("status", cwd=tmp_path).code == 3
