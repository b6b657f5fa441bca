"""What an instance takes and what is free, in bytes."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from visionserve.server.errors import ServerError
from visionserve.server.host import memory

if TYPE_CHECKING:
    from pathlib import Path

FILLED = "import sys; held = bytearray(b'x') * 200_000_000; print('held', flush=True); input()"


def test_what_a_process_and_its_children_take_is_counted() -> None:
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {FILLED!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert 200_000_000 < memory.taken(process.pid) < 300_000_000
        process.communicate("\n")
    assert memory.taken(process.pid) == 0


def grouped(folder: Path, monkeypatch: pytest.MonkeyPatch, mine: str = "") -> None:
    """Have what the system says of groups in a folder."""
    monkeypatch.setattr(memory, "_V2", memory._V2._replace(root=folder))
    monkeypatch.setattr(memory, "_V1", memory._V1._replace(root=folder / "memory"))
    (folder / "mine").write_text(mine)
    monkeypatch.setattr(memory, "_MINE", folder / "mine")


@pytest.mark.parametrize(
    ("mine", "place", "files"),
    [
        ("0::/system.slice/visionserve.service\n", "system.slice/visionserve.service", ("memory.max", "current")),
        ("0::/system.slice/visionserve.service\n", "system.slice", ("memory.max", "current")),
        ("9:cpu:/x\n4:memory,blkio:/a\n", "memory/a", ("memory.limit_in_bytes", "usage_in_bytes")),
    ],
)
def test_a_service_s_limit_counts(
    mine: str, place: str, files: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grouped(tmp_path, monkeypatch, mine)
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place / files[0]).write_text("3000000\n")
    (tmp_path / place / f"memory.{files[1]}").write_text("1000000\n")
    assert (memory.total(), memory.free()) == (3_000_000, 2_000_000)


def test_a_containers_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grouped(tmp_path, monkeypatch)
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    assert memory.free() > 2_000_000
    assert memory.total() == psutil.virtual_memory().total
    (tmp_path / "memory.max").write_text("3000000\n")
    assert memory.free() == min(2_000_000, psutil.virtual_memory().available)
    assert memory.total() == 3_000_000


def test_a_second_instance_without_room_is_refused_with_both_numbers_and_the_choice_of_a_gap(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = {1: 100 << 20, 2: 300 << 20}
    monkeypatch.setattr(memory, "taken", sizes.__getitem__)
    monkeypatch.setattr(memory, "free", lambda: 331 << 20)
    memory.require_room([1, 2])  # the larger one, and a tenth more
    monkeypatch.setattr(memory, "free", lambda: 329 << 20)
    with pytest.raises(
        ServerError,
        match=r"one more instance needs 330 MB, and 329 MB are free: 'visionserve reload --gap' ends an old",
    ):
        memory.require_room([1, 2])
    memory.require_room([])  # there is none to go by


def test_pages_of_files_that_are_given_back_are_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grouped(tmp_path, monkeypatch)
    v1, v2 = tmp_path / "memory", tmp_path
    for folder, limit, current, cached in (
        (v2, "memory.max", "memory.current", "inactive_file"),
        (v1, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        folder.mkdir(exist_ok=True)
        (folder / limit).write_text("3000000\n")
        (folder / current).write_text("2900000\n")
        (folder / "memory.stat").write_text(f"anon 5\n{cached} 1500000\nactive_file 7\n")
        assert memory.free() == 1_600_000
        (folder / limit).unlink()
