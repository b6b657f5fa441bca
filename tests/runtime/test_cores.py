from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from visionserve.runtime import cores

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("limit", "expected"), [("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("5000 100000", 1)]
)
def test_a_containers_quota_limits_the_cores(
    limit: str, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text(limit)
    monkeypatch.setattr(cores, "_CGROUP_V2", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)))
    assert cores.available() == expected


@pytest.mark.parametrize(
    ("workers", "threads", "turns"), [(1, 8, 1), (2, 8, 1), (3, 4, 2), (4, 4, 2), (16, 1, 8), (40, 1, 8)]
)
def test_the_workers_whose_turn_it_is_use_every_core_once(
    workers: int, threads: int, turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "available", lambda: 8)
    assert cores.share(workers) == cores.Share(threads, turns)
