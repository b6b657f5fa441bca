"""With one worker there is no other to ask: clients wait or are told when to come again, and none is cut off."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from tests.chaos.conftest import loaded, now

if TYPE_CHECKING:
    from tests.chaos.conftest import Told
    from tests.chaos.harness.served import Served


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "fault"),
    [
        pytest.param(signal.SIGKILL, "the only worker killed", id="killed"),
        pytest.param(signal.SIGSTOP, "the only worker stopped (SIGSTOP)", id="stopped"),
    ],
)
def test_the_only_worker_is_gone(number: signal.Signals, fault: str, alone: Served, told: Told) -> None:
    alone.wait_until_whole()
    with loaded(alone) as traffic:
        at = now()
        os.kill(alone.workers()[0], number)
        traffic.wait_for(100)
        alone.wait_until_whole()
    told(fault, traffic, at)
    assert traffic.lost == {}
    assert len(alone.workers()) == 1
