from __future__ import annotations

import subprocess
import sys
import threading
from queue import Empty, Queue
from typing import TYPE_CHECKING

import pytest

from visionserve.runtime.turns import Turns

if TYPE_CHECKING:
    from pathlib import Path

# Takes a turn, says so, keeps it until told; or dies with it.
HOLDER = """
import sys, pathlib
from visionserve.runtime.turns import Turns
turns = Turns(int(sys.argv[1]), pathlib.Path(sys.argv[2]))
print("here", flush=True)
with turns:
    print("computing", flush=True)
    sys.stdin.readline()
print("done", flush=True)
sys.stdin.readline()
"""


class Holder:
    def __init__(self, slots: int, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(slots), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.lines: Queue[str] = Queue()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()
        assert self.says() == "here"

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line.strip())

    def says(self, timeout: float = 60) -> str:
        return self.lines.get(timeout=timeout)

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> None:
        self.process.kill()
        self.reader.join()
        with self.process:
            pass


def test_a_second_process_computes_when_the_first_is_done(tmp_path: Path) -> None:
    with Turns(1, tmp_path):
        second = Holder(1, tmp_path)
        with pytest.raises(Empty):
            second.says(timeout=0.5)
    assert second.says() == "computing"
    second.go_on()
    assert second.says() == "done"
    second.end()


def test_two_slots_let_two_compute_at_once(tmp_path: Path) -> None:
    holders = [Holder(2, tmp_path), Holder(2, tmp_path)]
    assert [holder.says() for holder in holders] == ["computing", "computing"]
    for holder in holders:
        holder.end()


def test_a_holder_that_is_killed_gives_its_turn_back(tmp_path: Path) -> None:
    holder = Holder(1, tmp_path)
    assert holder.says() == "computing"
    holder.end()
    with Turns(1, tmp_path):
        pass


def test_a_turn_can_be_taken_again_and_again(tmp_path: Path) -> None:
    turns = Turns(1, tmp_path)
    for _ in range(3):
        with turns:
            pass
