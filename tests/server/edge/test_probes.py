"""What is answered to those who look whether it lives and is of use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.server.edge.conftest import Front, Started

READY = ("/readyz", "/v2/health/ready")
LIVE = ("/livez", "/ping", "/v2/health/live")


@pytest.mark.parametrize("path", [*READY, *LIVE])
def test_all_is_well(front: Front, path: str) -> None:
    assert front.get(path).status_code == 200
    assert front.session.head(front.url + path).status_code == 200
    assert not front.seen


def test_it_is_ready_while_a_slot_is_up(start: Started) -> None:
    front = start(up="")
    front.control.set_restart_time(7)

    def ready() -> list[int]:
        return [front.get(path).status_code for path in READY]

    assert ready() == [503, 503]
    refused = front.get("/readyz")
    assert (refused.json()["type"], refused.headers["Retry-After"]) == ("NotReady", "7")
    refused = front.post()
    assert (refused.status_code, refused.json()["type"], refused.headers["Retry-After"]) == (503, "NotReady", "7")
    front.control.up("b")
    assert ready() == [200, 200]
    assert front.post().json()["slot"] == "b"
    front.control.drain("b")
    assert ready() == [503, 503]
    assert [front.get(path).status_code for path in LIVE] == [200, 200, 200]


def test_it_is_not_ready_while_it_drains(start: Started) -> None:
    front = start()
    front.control.set_draining(draining=True)
    refused = [front.get(path) for path in READY]
    assert [(each.status_code, each.json()["type"]) for each in refused] == [(503, "Draining")] * 2
    assert [front.get(path).status_code for path in LIVE] == [200, 200, 200]
    refused[0] = front.post()
    assert (refused[0].status_code, refused[0].json()["type"]) == (503, "Draining")
    assert refused[0].headers["Connection"] == "close"
    assert int(refused[0].headers["Retry-After"]) >= 1
    front.control.set_draining(draining=False)
    assert front.post().status_code == 200
