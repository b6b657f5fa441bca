"""A contender's processes are paused, let go and ended together."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from benchmarks import process
from benchmarks.errors import NotRun

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A parent and a child that would both run for ever.
_FAMILY = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
print("started", flush=True)
child.wait()
"""


@pytest.fixture
def family(tmp_path: Path) -> Iterator[process.Child]:
    child = process.Child([sys.executable, "-c", _FAMILY], tmp_path / "log", tmp_path, {})
    try:
        child.wait_until(lambda: len(child.tree.members()) == 2, "family")
        yield child
    finally:
        child.stop()


def states(members: list[psutil.Process]) -> set[str]:
    return {member.status() for member in members}


def test_a_paused_family_stops_where_it_is(family: process.Child) -> None:
    family.tree.pause()
    members = family.tree.members()
    family.wait_until(lambda: states(members) == {psutil.STATUS_STOPPED}, "pause")
    assert family.tree.cpu_seconds() == family.tree.cpu_seconds()
    family.tree.resume()
    family.wait_until(lambda: psutil.STATUS_STOPPED not in states(members), "resume")


def test_stopping_ends_all_of_a_paused_family(family: process.Child) -> None:
    members = family.tree.members()
    family.tree.pause()
    family.stop()
    _, alive = psutil.wait_procs(members, timeout=10)
    assert alive == []


def test_a_command_that_ends_says_what_it_printed_last(tmp_path: Path) -> None:
    child = process.Child(
        [sys.executable, "-c", "raise SystemExit('no such model')"], tmp_path / "log", tmp_path, {}
    )
    with pytest.raises(NotRun, match="server ended with code 1: no such model"):
        child.wait_until(lambda: False, "server")


def test_variables_are_set_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLD", "1")
    code = "import os; print(os.environ.get('OLD'), os.environ.get('NEW'))"
    child = process.Child([sys.executable, "-c", code], tmp_path / "log", tmp_path, {"OLD": None, "NEW": "2"})
    child.process.wait(30)
    assert child.last_lines() == "None 2"
