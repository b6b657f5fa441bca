"""What is ordered is done in the supervisor's thread, and whoever ordered it hears all of it."""

from __future__ import annotations

import queue
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from visionserve.runtime.errors import IntegrityError
from visionserve.server.errors import ServerError
from visionserve.server.orders import giving
from visionserve.server.orders.status import Status
from visionserve.server.orders.taking import Orders, carried_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Asked(BaseException):
    """The server is asked to end."""


@pytest.mark.parametrize(
    ("fails", "message"),
    [
        (None, None),
        (ServerError("too little memory"), "too little memory"),
        (IntegrityError("x.mar is not what was built"), "not what was built"),
        (KeyError("quick"), r"it failed: KeyError\('quick'\); logs/supervisor.log has more"),
        (Asked(), "asked to end"),
    ],
)
def test_an_order_is_done_and_told(fails: BaseException | None, message: str | None, tmp_path: Path) -> None:
    events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def work(tell: Callable[[dict[str, Any]], None]) -> None:
        tell({"model": threading.current_thread().name, "seconds": 1.0})
        if fails:
            raise fails

    def supervise() -> None:
        with suppress(Asked):
            events.get(timeout=10)()

    def obey(_order: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield from carried_out(events, work)

    taking = Orders(tmp_path / "orders.sock", obey)
    supervisor = threading.Thread(target=supervise, name="the supervisor's")
    supervisor.start()
    heard = []
    try:
        if message is None:
            heard = list(giving.reload(tmp_path / "orders.sock", [], gap=False))
        else:
            with pytest.raises(ServerError, match=message):
                heard.extend(giving.reload(tmp_path / "orders.sock", [], gap=False))
    finally:
        supervisor.join(10)
        taking.close()
    assert message is not None or heard == [("the supervisor's", 1.0)]


def test_where_nobody_takes_orders(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="does not take orders"):
        giving.status(tmp_path / "none.sock")


def test_a_status_arrives_as_it_was_sent(tmp_path: Path) -> None:
    sent = Status(
        is_ready=False,
        is_draining=True,
        trouble="no room",
        instances={"b": "unix:/run/b/management.sock"},
        workers_restarted=1,
        replaced={"Java ended with code -9": 2},
        reloads=3,
        edge_restarts=4,
        changed=[],
    )
    taking = Orders(tmp_path / "orders.sock", lambda _: iter([sent.write()]))
    try:
        assert giving.status(tmp_path / "orders.sock") == sent
    finally:
        taking.close()


@pytest.mark.parametrize("sent", [b"status", b"[1]", b"\xff", b"[" * 100_000, b"9" * 5000])
def test_what_is_no_order_is_told_in_one_line(sent: bytes, tmp_path: Path) -> None:
    taking = Orders(tmp_path / "orders.sock", lambda _: iter([]))
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(tmp_path / "orders.sock"))
            connection.sendall(sent + b"\n")
            assert "is no order: it must be a JSON object" in connection.makefile().readline()
    finally:
        taking.close()


def test_a_server_that_does_not_answer_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(giving, "_ANSWERED", 0.1)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "orders.sock"))
        silent.listen()
        with pytest.raises(ServerError, match=r"does not answer within 0\.1 s"):
            giving.status(tmp_path / "orders.sock")
