"""What is ordered is done in the supervisor's thread, and whoever ordered it hears all of it."""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from visionserve.runtime.errors import IntegrityError
from visionserve.server.errors import ServerError
from visionserve.server.supervision import orders
from visionserve.server.supervision.orders import Orders, carried_out
from visionserve.server.supervision.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Asked(Exception):
    """The server is asked to end."""


@pytest.mark.parametrize(
    ("fails", "message"),
    [
        (None, None),
        (ServerError("too little memory"), "too little memory"),
        (IntegrityError("x.mar is not what was built"), "not what was built"),
        (Asked(), "asked to end"),
    ],
)
def test_an_order_is_done_and_told(fails: Exception | None, message: str | None, tmp_path: Path) -> None:
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
            heard = list(orders.reload(tmp_path / "orders.sock", [], gap=False))
        else:
            with pytest.raises(ServerError, match=message):
                heard.extend(orders.reload(tmp_path / "orders.sock", [], gap=False))
    finally:
        supervisor.join(10)
        taking.close()
    assert message is not None or heard == [("the supervisor's", 1.0)]


def test_where_nobody_takes_orders(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="does not take orders"):
        orders.status(tmp_path / "none.sock")


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
    )
    taking = Orders(tmp_path / "orders.sock", lambda _: iter([sent.write()]))
    try:
        assert orders.status(tmp_path / "orders.sock") == sent
    finally:
        taking.close()
