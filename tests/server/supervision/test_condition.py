"""What a server says of itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from visionserve.server.supervision import condition


def status(*, is_draining: bool) -> Any:
    front = cast("Any", SimpleNamespace(is_ready=True, trouble="", restarts=0))
    replicas = cast("Any", SimpleNamespace(trouble="", causes={}))
    return condition.of(
        front, cast("Any", []), replicas, [], changed=["server.yaml"], is_draining=is_draining, reloads=2
    )


def test_a_server_that_drains_is_not_ready() -> None:
    assert status(is_draining=False).is_ready
    found = status(is_draining=True)
    assert (found.is_ready, found.is_draining, found.changed, found.reloads) == (False, True, ["server.yaml"], 2)
