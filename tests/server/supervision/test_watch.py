"""What a watch finds in an instance: a wrong answer is told as one, and so is an address that is silent."""

from __future__ import annotations

import itertools
import os
import queue
import threading
import time
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from visionserve.calls import Unreachable
from visionserve.server.errors import Busy, ServerError, WrongAnswer
from visionserve.server.instance import health
from visionserve.server.supervision import watch
from visionserve.server.supervision.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Described:
    """An instance's management address: one worker, this process, ready or not."""

    answers = True
    ready = True
    pid = 1
    looks = 0

    def __init__(self, *_: object, **__: object) -> None: ...

    def __enter__(self) -> Described:
        return self

    def __exit__(self, *_: object) -> None: ...

    def describe(self, _name: str) -> dict[str, Any]:
        if not self.answers:
            raise Unreachable("no answer")
        type(self).looks += 1
        return {"minWorkers": 1, "workers": [{"pid": self.pid, "status": "READY" if self.ready else "UNLOADING"}]}


@pytest.fixture
def watched(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An instance that is well, and is looked at often."""
    monkeypatch.setattr(watch, "Client", Described)
    monkeypatch.setattr(health, "known_answer", lambda _archive: None)
    monkeypatch.setattr(health, "require_known_answer", lambda *_: None)
    for name in ("_EVERY", "_PROVEN_EVERY", "_LACKING", "_AFTER_FAILURE"):
        monkeypatch.setattr(watch, name, 0.01)
    return SimpleNamespace(
        folder=tmp_path / "a",
        logs=tmp_path,
        archives={"quick": tmp_path, **({"other": tmp_path} if getattr(request, "param", None) else {})},
        process=SimpleNamespace(pid=os.getpid()),
        properties=SimpleNamespace(inference="", management=""),
    )


def wait_until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not done():
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.fixture
def found(watched: Any) -> Any:
    """Watches an instance until something is wrong, and tells it."""

    def find() -> tuple[str, bool]:
        watching = Watch(watched, 1.0)
        try:
            wait_until(lambda: watching.reason is not None)
            assert not watching.is_whole
            return str(watching.reason), watching.is_wrong
        finally:
            watching.end()

    return find


@pytest.mark.parametrize(("error", "is_wrong"), [(WrongAnswer("red"), True), (ServerError("503"), False)])
def test_what_it_answers_to_a_golden_picture(
    error: ServerError, is_wrong: bool, found: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(health, "require_known_answer", refuse)
    assert found() == (str(error), is_wrong)


def test_an_address_that_is_silent_again_and_again(found: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Described, "answers", False)
    reason, is_wrong = found()
    assert reason.startswith("its management address does not answer") and not is_wrong


def test_workers_that_do_not_come_back(found: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Described, "ready", False)
    assert found() == ("quick has had 0 of 1 workers for 0 s", False)


def knows(watching: Watch, *, dead: bool) -> bool:
    return watching.is_dead == dead


def test_it_knows_when_there_is_no_worker(watched: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_LACKING", 60.0)
    watching = Watch(watched, 1.0)
    try:
        for ready in (True, False, True):
            monkeypatch.setattr(Described, "ready", ready)
            wait_until(partial(knows, watching, dead=not ready))
    finally:
        watching.end()


def test_it_goes_on_looking_when_it_has_found_something(watched: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    watching = Watch(watched, 1.0)
    try:
        monkeypatch.setattr(Described, "answers", False)
        wait_until(lambda: watching.reason is not None)
        assert watching.is_dead  # nobody can tell, and so others are asked
        monkeypatch.setattr(Described, "answers", True)
        wait_until(lambda: not watching.is_dead)
        assert not watching.is_whole
        assert str(watching.reason).startswith("its management address")
        monkeypatch.setattr(Described, "ready", False)
        wait_until(lambda: watching.is_dead)
    finally:
        watching.end()


@pytest.mark.parametrize("seconds", [60.0, 0.01])
def test_one_that_is_busy_is_not_ill_for_a_while(
    seconds: float, watched: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def refuse(*_: object) -> None:
        asked.append(1)
        raise Busy("503")

    monkeypatch.setattr(watch, "_BUSY", seconds)
    monkeypatch.setattr(health, "require_known_answer", refuse)
    watching = Watch(watched, 1.0)
    try:
        wait_until(lambda: len(asked) > 20 if seconds > 1 else watching.reason == "503")
        assert watching.is_whole == (seconds > 1)
    finally:
        watching.end()


def test_a_worker_that_refuses_what_it_loads(found: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Described, "ready", False)
    line = "2026-01-01 INFO  W-9000-quick_1.0-stdout MODEL_LOG - visionserve cannot serve quick: it is damaged\n"
    (tmp_path / "workers.log").write_text(line)
    assert found() == ("a worker of quick refuses to serve: it is damaged", False)


def test_workers_that_die_again_and_again(found: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pids = itertools.count(1 << 23)  # more than any process has

    def describe(*_: object) -> dict[str, Any]:
        return {"minWorkers": 1, "workers": [{"pid": next(pids), "status": "READY"}]}

    monkeypatch.setattr(Described, "describe", describe)
    assert found() == ("5 workers of quick died within 60 s", False)


def test_it_goes_on_looking_while_a_golden_picture_is_not_answered(
    found: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()

    def wait(*_: object) -> None:
        monkeypatch.setattr(Described, "answers", False)
        answered.wait(30)

    monkeypatch.setattr(health, "require_known_answer", wait)
    reason, _ = found()
    answered.set()
    assert reason.startswith("its management address does not answer")


def test_a_worker_that_dies_while_it_is_proven_is_proven_when_it_is_back(
    found: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Described, "pid", 1)

    def die(*_: object) -> None:
        if Described.pid == 1:
            monkeypatch.setattr(Described, "pid", 2)
            looks = Described.looks
            while Described.looks < looks + 2:
                time.sleep(0.001)
            raise ServerError("507")
        raise WrongAnswer("red")

    monkeypatch.setattr(health, "require_known_answer", die)
    assert found() == ("red", True)


def test_what_nobody_thought_of_is_told_if_it_stays(
    watched: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failures = itertools.count(1)

    def fail(*_: object) -> None:
        next(failures)
        raise OSError("no thread can be had")

    monkeypatch.setattr(watch, "Question", lambda: SimpleNamespace(is_done=False, is_begun=False, begin=fail))
    watching = Watch(watched, 1.0)
    try:
        wait_until(lambda: watching.reason is not None)
        assert watching.reason == "it cannot be watched: OSError('no thread can be had')"
        assert next(failures) > 3
    finally:
        watching.end()


def test_an_archive_that_cannot_be_read_later_is_no_illness(watched: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: queue.SimpleQueue[Any] = queue.SimpleQueue()
    monkeypatch.setattr(health, "known_answer", lambda _archive: "known")
    monkeypatch.setattr(health, "require_known_answer", lambda *said: asked.put(said[1:]))
    watching = Watch(watched, 1.0)
    try:
        monkeypatch.setattr(health, "known_answer", None)
        assert [asked.get(timeout=10) for _ in range(3)] == [("quick", "known")] * 3
        assert watching.reason is None
    finally:
        watching.end()


def test_no_thread_for_a_question_is_no_end_of_questions(watched: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    start, failures, asked = threading.Thread.start, itertools.count(), threading.Event()

    def refuse(thread: threading.Thread) -> None:
        if thread.name == "question" and next(failures) < 2:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    monkeypatch.setattr(health, "require_known_answer", lambda *_: asked.set())
    watching = Watch(watched, 1.0)
    try:
        assert asked.wait(10)
        assert watching.reason is None
    finally:
        watching.end()


def test_a_question_that_fails_in_itself_is_an_illness_if_it_stays(
    found: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("odd")

    monkeypatch.setattr(health, "require_known_answer", fail)
    assert found() == ("it cannot be proven: KeyError('odd')", False)


@pytest.mark.parametrize("watched", [True], indirect=True)
@pytest.mark.parametrize("silent", ["quick", "other"])
def test_one_model_that_is_not_described_hides_no_other(
    silent: str, watched: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def describe(_self: object, name: str) -> dict[str, Any]:
        if name == silent:
            raise Unreachable("no answer")
        return {"minWorkers": 1, "workers": []}

    monkeypatch.setattr(watch, "_SILENT", 10**6)
    monkeypatch.setattr(Described, "describe", describe)
    watching = Watch(watched, 1.0)
    try:
        wait_until(lambda: watching.is_dead and not watching.is_whole)
        wait_until(lambda: watching.reason is not None and "workers for" in watching.reason)
    finally:
        watching.end()


@pytest.mark.parametrize("watched", [True], indirect=True)
def test_one_model_that_is_never_described_is_an_illness(watched: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    well = Described.describe

    def describe(self: Described, name: str) -> dict[str, Any]:
        if name == "quick":
            raise Unreachable("no answer")
        return well(self, name)

    monkeypatch.setattr(Described, "describe", describe)
    watching = Watch(watched, 1.0)
    try:
        wait_until(lambda: watching.reason == "its management address does not answer")
    finally:
        watching.end()


def test_what_a_worker_said_before_all_were_well_is_over(
    watched: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "2026-01-01 INFO  W-9000-quick_1.0-stdout MODEL_LOG - visionserve cannot serve quick: no memory\n"
    (tmp_path / "workers.log").write_text(line)
    monkeypatch.setattr(watch, "_LACKING", 60.0)
    watching = Watch(watched, 1.0)
    try:
        looks = Described.looks
        wait_until(lambda: Described.looks > looks + 2)
        monkeypatch.setattr(Described, "ready", False)
        wait_until(lambda: watching.is_dead)
        looks = Described.looks
        wait_until(lambda: Described.looks > looks + 2)
        assert watching.reason is None
        with (tmp_path / "workers.log").open("a") as log:
            log.write(line)
        wait_until(lambda: watching.reason == "a worker of quick refuses to serve: no memory")
    finally:
        watching.end()


def test_one_wait_tells_that_an_address_is_silent_however_many_models_there_are(
    watched: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.archives = {f"model{index}": watched.logs for index in range(12)}
    asked: list[str] = []

    def describe(_self: Described, name: str) -> dict[str, Any]:
        asked.append(name)
        raise Unreachable("no answer")

    monkeypatch.setattr(Described, "describe", describe)
    watching = Watch(watched, 1.0)
    try:
        wait_until(lambda: watching.reason is not None)
    finally:
        watching.end()
    assert len(asked) <= watch._SILENT + 1
    assert len(set(asked)) == len(asked)  # each look begins with another one
