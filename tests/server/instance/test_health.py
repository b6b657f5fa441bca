"""A server just started is waited for, and nothing else is forgotten meanwhile."""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from visionserve.calls import Refused, Unreachable
from visionserve.server.errors import Busy, ServerError, WrongAnswer
from visionserve.server.instance import health

if TYPE_CHECKING:
    from pathlib import Path

    from visionserve.client import Client


class Asked:
    """A client of an instance that is ready, and answers `red`, or what a test says."""

    answer: Any = staticmethod(lambda: {"red": 1.0})
    ready: Any = staticmethod(lambda: (1, 1))

    def __init__(self, *_: object, **__: object) -> None: ...

    def __enter__(self) -> Asked:
        return self

    def __exit__(self, *_: object) -> None: ...

    def workers_ready(self, _name: str) -> tuple[int, int]:
        found: tuple[int, int] = self.ready()
        return found

    def predict(self, _name: str, _picture: bytes) -> dict[str, float]:
        answer: dict[str, float] = self.answer()
        return answer


KNOWN: Any = (SimpleNamespace(name="one", data=b""), frozenset({"red"}))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(health, "Client", Asked)
    monkeypatch.setattr(health, "known_answer", lambda _mar: KNOWN)
    return SimpleNamespace(
        archives={"quick": tmp_path},
        logs=tmp_path,
        process=SimpleNamespace(poll=lambda: None, returncode=None),
        properties=SimpleNamespace(inference="", management=""),
    )


@pytest.mark.parametrize("what", ["answer", "ready"])
def test_what_can_die_is_looked_at_while_a_server_does_not_answer(
    what: str, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = threading.Event()
    answer = getattr(Asked, what)

    def hang() -> Any:
        let_go.wait(30)
        return answer()

    looks: list[float] = []

    def look() -> None:
        looks.append(time.monotonic())
        if len(looks) == 10:
            let_go.set()

    monkeypatch.setattr(Asked, what, staticmethod(hang))
    assert [name for name, _ in health.wait_until_ready(server, 60.0, look)] == ["quick"]
    assert max(after - before for before, after in pairwise(looks)) < 5


def test_one_that_does_not_answer_in_time_is_given_up(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()
    monkeypatch.setattr(Asked, "answer", staticmethod(lambda: let_go.wait(30)))
    with pytest.raises(ServerError, match="quick not ready after 0 s"):
        list(health.wait_until_ready(server, 0.2))
    let_go.set()


def test_one_that_ends_while_it_is_asked_is_told_with_its_own_cause(
    server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def end() -> None:
        (tmp_path / "server.log").write_text("1 ERROR out of memory\n")
        server.process.poll = lambda: 1
        server.process.returncode = 1
        raise Unreachable("no answer; is the server running?")

    monkeypatch.setattr(Asked, "answer", staticmethod(end))
    with pytest.raises(ServerError, match=r"TorchServe ended with code 1: 1 ERROR out of memory"):
        list(health.wait_until_ready(server, 60.0))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"red": 1.0}, None),
        ({"blue": 1.0}, WrongAnswer),
        ({}, WrongAnswer),
        (Refused(200, "NoPrediction", "the answer is no prediction"), WrongAnswer),
        (Refused(503, "Overloaded", "too many"), Busy),
        (Refused(500, "InternalError", "it failed"), ServerError),
    ],
)
def test_what_an_answer_says_of_an_instance(
    answer: Any, error: type[Exception] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def say() -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(Asked, "answer", staticmethod(say))
    client = cast("Client", Asked())
    if error is None:
        health.require_known_answer(client, "quick", KNOWN)
        return
    with pytest.raises(error) as raised:
        health.require_known_answer(client, "quick", KNOWN)
    assert type(raised.value) is error
