"""How Java is started."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil

from visionserve.server.instance import java

if TYPE_CHECKING:
    from visionserve.server.instance.launcher import TorchServe


def test_a_users_flags_come_after_ours_and_so_win(server: TorchServe) -> None:
    command = psutil.Process(server.process.pid).cmdline()
    assert set(java.flags(java.find())) <= set(command)
    last = max((command.index(flag) for flag in java.flags(java.find())), default=0)
    assert server.properties.vmargs
    assert last < min(command.index(flag) for flag in server.properties.vmargs)
