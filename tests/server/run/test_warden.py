"""What a killed process leaves behind: nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from visionserve.project import Project
from visionserve.server.run import warden
from visionserve.server.run.folder import RunFolder
from visionserve.server.run.warden import Warden

# A process that guards a session of its own with a child in it, and a folder, says who they are, and waits.
PROGRAM = """
import subprocess, sys
from pathlib import Path
from visionserve.server.run.warden import Warden
guarded = subprocess.Popen(["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE, text=True,
                           start_new_session=True)
keeper = Warden()
keeper.guard_session(guarded.pid)
keeper.guard_folder(Path(sys.argv[1]))
print(guarded.pid, guarded.stdout.readline().strip(), keeper.pid, flush=True)
input()
keeper.let_go_session(guarded.pid)
keeper.let_go_folder(Path(sys.argv[1]))
keeper.close()
"""


def start(folder: Path) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, [psutil.Process(int(pid)) for pid in process.stdout.readline().split()]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGABRT])
def test_whatever_ends_a_process_ends_what_it_guards(number: signal.Signals, tmp_path: Path) -> None:
    process, guarded = start(tmp_path / "folder")
    with process:
        process.send_signal(number)
    _, left = psutil.wait_procs(guarded, timeout=10)
    assert not left
    assert not (tmp_path / "folder").exists()


def test_what_was_released_goes_on(tmp_path: Path) -> None:
    process, (leader, child, keeper) = start(tmp_path / "folder")
    process.communicate("\n", timeout=10)
    keeper.wait(10)
    assert leader.is_running() and child.is_running()
    assert (tmp_path / "folder").exists()
    os.killpg(leader.pid, signal.SIGKILL)


def test_a_signal_to_the_terminals_group_does_not_end_the_warden() -> None:
    keeper = Warden()
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(keeper.pid, number)
        guarded = subprocess.Popen(["sleep", "60"], start_new_session=True)
        keeper.guard_session(guarded.pid)
        keeper.close()
        try:
            assert guarded.wait(10) == -signal.SIGKILL
        finally:
            guarded.kill()
            guarded.wait()
    finally:
        keeper.close()


def test_a_killed_warden_does_not_disturb_whom_it_served() -> None:
    keeper = Warden()
    os.kill(keeper.pid, signal.SIGKILL)
    psutil.Process(keeper.pid).wait(10)
    keeper.guard_session(1)
    keeper.let_go_session(1)
    keeper.close()


def test_a_killed_warden_is_revived_and_guards_what_it_guarded(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    sessions = [subprocess.Popen(["sleep", "60"], start_new_session=True) for _ in range(3)]
    before, released, after = sessions
    keeper = Warden()
    try:
        keeper.guard_session(before.pid)
        keeper.guard_session(released.pid)
        keeper.guard_folder(folder)
        first = keeper.pid
        keeper.revive()
        assert keeper.pid == first  # it was well
        os.kill(first, signal.SIGKILL)
        psutil.Process(first).wait(10)
        keeper.let_go_session(released.pid)
        keeper.guard_session(after.pid)
        keeper.revive()
        assert keeper.pid != first
        keeper.close()
        assert (before.wait(10), after.wait(10), released.poll()) == (-signal.SIGKILL, -signal.SIGKILL, None)
        assert not folder.exists()
    finally:
        keeper.close()
        for session in sessions:
            session.kill()
            session.wait()


def test_what_is_released_and_forgotten_is_let_be(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    said = [["remove", str(kept)], ["forget", str(kept)], ["guard", "999999999"], ["release", "999999999"]]
    warden.follow(map(json.dumps, said), lambda _: None)
    assert kept.exists()


def test_a_folder_whose_name_has_a_line_end_is_removed_and_no_other(tmp_path: Path) -> None:
    other, folder = tmp_path / "one", tmp_path / "one\ntwo"
    other.mkdir()
    folder.mkdir()
    keeper = Warden()
    keeper.guard_folder(folder)
    keeper.close()
    assert other.exists()
    assert not folder.exists()


def stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    end = time.monotonic() + 10
    while psutil.Process(pid).status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < end


def test_a_stopped_warden_is_as_good_as_killed(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    keeper = Warden()
    keeper.guard_folder(folder)
    first = keeper.pid
    stop(first)
    keeper.revive()
    assert keeper.pid != first
    assert not psutil.pid_exists(first)
    keeper.close()
    assert not folder.exists()


def test_one_that_is_stopped_at_the_end_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warden, "_CLOSED", 0.1)
    keeper = Warden()
    stop(keeper.pid)
    keeper.close()
    assert not psutil.pid_exists(keeper.pid)


def test_one_that_cannot_be_started_again_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = Warden()
    first = keeper.pid
    os.kill(first, signal.SIGKILL)
    psutil.Process(first).wait(10)

    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with monkeypatch.context() as patched:
        patched.setattr(subprocess, "Popen", refuse)
        for _ in range(3):
            keeper.revive()
    assert caplog.text.count("Resource temporarily unavailable") == 1
    monkeypatch.setattr(keeper, "_again_at", 0.0)
    keeper.revive()
    assert keeper.pid != first
    keeper.close()


def test_a_late_one_is_found_and_ended_by_the_next_server(tmp_path: Path) -> None:
    """Its server was killed while it was stopped; going on, it would remove the next one's folder."""
    project = Project(tmp_path)
    made = RunFolder.make(project)
    keeper = Warden()
    for place in made.to_remove:
        keeper.guard_folder(place)
    end = time.monotonic() + 10
    while Path(psutil.Process(keeper.pid).cwd()) != made.path.resolve():
        assert time.monotonic() < end
    stop(keeper.pid)
    made = RunFolder.make(project)
    assert not psutil.pid_exists(keeper.pid) or psutil.Process(keeper.pid).status() == psutil.STATUS_ZOMBIE
    assert made.path.exists()
    keeper.close()
    made.remove()


def test_one_that_ends_at_once_is_no_warden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = Warden()
    os.kill(keeper.pid, signal.SIGKILL)
    psutil.Process(keeper.pid).wait(10)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", "/bin/false")
        for _ in range(3):
            keeper.revive()
    assert caplog.text.count("there is no other: it ended with code") == 1
    monkeypatch.setattr(keeper, "_again_at", 0.0)
    keeper.revive()
    keeper.guard_folder(tmp_path)
    keeper.close()
    assert not tmp_path.exists()
