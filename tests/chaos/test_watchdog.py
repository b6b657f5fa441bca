"""A service manager goes on hearing that the server looks after its instances, whatever it does meanwhile."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from tests.chaos.conftest import loaded, now
from tests.chaos.harness.served import Served, project
from tests.support.service_manager import ServiceManager

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GAP = 30.0  # seconds: half of the WatchdogSec that deploy/systemd has


@pytest.fixture
def manager(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceManager]:
    with ServiceManager(tmp_path_factory.mktemp("manager") / "notify") as manager:
        monkeypatch.setenv("NOTIFY_SOCKET", str(manager.path))
        yield manager


@pytest.mark.slow
def test_no_reload_silences_it(tmp_path: Path, manager: ServiceManager) -> None:
    with Served(project(tmp_path)) as server, loaded(server) as traffic:
        manager.wait_for("WATCHDOG=1", now())
        begun = now()
        done = [server.run("reload"), server.run("reload", "--gap"), server.run("reload", "--keys")]
        ended = now()
        manager.wait_for("WATCHDOG=1", ended)
    signs = manager.times("WATCHDOG=1")
    first, last = max(at for at in signs if at < begun), min(at for at in signs if at > ended)
    gap = max(after - before for before, after in itertools.pairwise(at for at in signs if first <= at <= last))
    print(f"\nreloads of {ended - begun:.0f} s under load, signs of life at most {gap:.1f} s apart: {traffic}")  # noqa: T201
    assert [each.returncode for each in done] == [0, 0, 0]
    assert gap < GAP
