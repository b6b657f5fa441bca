"""What fails in the network, or in us, fails alone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
import torch
from PIL import Image
from tests.support.exchanges import GOOD, Answers, Sent
from tests.support.pictures import corpus
from tests.support.worker import Worker, error_of

from visionserve.runtime.machine import device
from visionserve.runtime.wire import payload

if TYPE_CHECKING:
    from collections.abc import Callable

    from visionserve.runtime.wire.request import Request


class Engine:
    """The worker's engine, made to fail where `fails` says so."""

    name = "failing"

    def __init__(self, engine: Any, fails: Callable[[torch.Tensor], None]) -> None:
        self._engine, self._fails = engine, fails
        self.batches: list[int] = []

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        self.batches.append(len(pixels))
        self._fails(pixels)
        logits: torch.Tensor = self._engine.logits(pixels)
        return logits


@pytest.fixture
def failing(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[torch.Tensor], None]], Engine]:
    def install(fails: Callable[[torch.Tensor], None]) -> Engine:
        engine = Engine(worker.handler.worker.engine, fails)
        monkeypatch.setattr(worker.handler.worker, "engine", engine)
        return engine

    return install


def marked(pixels: torch.Tensor) -> torch.Tensor:
    """Which of the pictures are plain red."""
    return (pixels == torch.tensor([255, 0, 0], dtype=torch.uint8)).all(dim=3).flatten(1).all(dim=1)


RED = corpus.encoded(Image.new("RGB", (64, 64), "red"), "PNG")


def test_a_picture_the_network_fails_on_fails_alone(
    failing: Callable[[Callable[[torch.Tensor], None]], Engine], worker: Worker, alone: Answers
) -> None:
    def fails(pixels: torch.Tensor) -> None:
        if marked(pixels).any():
            raise RuntimeError("secret detail at /srv/model.py")

    engine = failing(fails)
    got = worker.ask([Sent.body(GOOD[0]), Sent.body(RED), Sent.body(GOOD[1])])
    assert error_of(got[1]) == (500, "ModelFailure")
    assert b"secret" not in got[1].body
    assert [got[0].body, got[2].body] == [alone[GOOD[0]], alone[GOOD[1]]]
    assert engine.batches == [3, 1, 1, 1]


def test_logits_that_are_no_numbers_fail_alone(
    failing: Callable[[Callable[[torch.Tensor], None]], Engine], worker: Worker, alone: Answers
) -> None:
    engine = failing(lambda _: None)
    right = engine._engine

    class Nan:
        def logits(self, pixels: torch.Tensor) -> torch.Tensor:
            return torch.where(marked(pixels)[:, None], torch.nan, right.logits(pixels))

    engine._engine = Nan()
    got = worker.ask([Sent.body(GOOD[0]), Sent.body(RED), Sent.body(GOOD[1])])
    assert error_of(got[1]) == (500, "ModelFailure")
    assert [got[0].body, got[2].body] == [alone[GOOD[0]], alone[GOOD[1]]]
    assert engine.batches == [3]


@pytest.mark.parametrize(("room", "batches"), [(8, [8]), (4, [8, 4, 4]), (1, [8, 4, 2, *[1] * 8])])
def test_out_of_memory_halves_the_batch(
    room: int,
    batches: list[int],
    failing: Callable[[Callable[[torch.Tensor], None]], Engine],
    worker: Worker,
    alone: Answers,
) -> None:
    def fails(pixels: torch.Tensor) -> None:
        if len(pixels) > room:
            raise torch.OutOfMemoryError("CUDA out of memory")

    engine = failing(fails)
    got = worker.ask([Sent.body(data) for data in GOOD[:8]])
    assert [answer.body for answer in got] == [alone[data] for data in GOOD[:8]]
    assert engine.batches == batches


def test_what_has_no_memory_even_alone_is_503_for_the_rest(
    failing: Callable[[Callable[[torch.Tensor], None]], Engine], worker: Worker, alone: Answers
) -> None:
    def fails(pixels: torch.Tensor) -> None:
        if len(pixels) > 1 or engine.batches.count(1) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")

    engine = failing(fails)
    got = worker.ask([Sent.body(data) for data in GOOD[:8]])
    assert [answer.body for answer in got[:2]] == [alone[data] for data in GOOD[:2]]
    assert {error_of(answer) for answer in got[2:]} == {(503, "OutOfMemory")}
    assert engine.batches == [8, 4, 2, 1, 1, 1]


def test_an_error_of_our_own_fails_no_other_request(
    worker: Worker, alone: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    parse = payload.parse

    def breaks(request: Request, *limits: int) -> payload.Payload:
        if request.header("X-Break"):
            raise KeyError("/srv/secret")
        return parse(request, *limits)

    monkeypatch.setattr(payload, "parse", breaks)
    got = worker.ask([Sent.body(GOOD[0]), Sent.body(GOOD[1], X_Break="1")])
    assert got[0].body == alone[GOOD[0]]
    assert error_of(got[1]) == (500, "ModelFailure")


def test_a_dead_device_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no GPU to break here: the probe's failure is played, the exit is watched."""

    def dead(*_: Any, **__: Any) -> Any:
        raise RuntimeError("CUDA error: device-side assert triggered")

    ended: list[int] = []
    monkeypatch.setattr(torch, "ones", dead)
    monkeypatch.setattr(os, "_exit", ended.append)
    device.end_process_if_dead(torch.device("cpu"))
    assert ended == []
    device.end_process_if_dead(torch.device("cuda", 0))
    assert len(ended) == 1
    assert ended[0] != 0
