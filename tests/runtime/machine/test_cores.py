from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from visionserve.runtime.machine import cores

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


@pytest.mark.parametrize(("workers", "threads"), [(1, 8), (2, 4), (3, 2), (8, 1), (40, 1)])
def test_workers_and_their_threads_make_up_the_cores(
    workers: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "available", lambda: 8)
    assert cores.threads(workers) == threads


@pytest.mark.parametrize(("workers", "servers", "threads"), [(1, 2, 4), (2, 2, 2), (3, 2, 1), (8, 8, 1)])
def test_servers_that_share_the_cores_have_a_part_each(
    workers: int, servers: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "available", lambda: 8)
    monkeypatch.setenv("VISIONSERVE_INSTANCES", str(servers))
    assert cores.threads(workers) == threads


@pytest.mark.parametrize("said", ["0", "-1", "two", "", "²"])
def test_a_count_of_servers_that_is_none_is_named(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISIONSERVE_INSTANCES", said)
    with pytest.raises(ValueError, match=f"VISIONSERVE_INSTANCES is '{said}': it must be a whole number"):
        cores.threads(1)
