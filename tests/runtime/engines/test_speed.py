"""What a measured speed is, by engines that take as long as they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from tests.support.unpacked import source

from visionserve.runtime.engines import speed
from visionserve.runtime.engines.speed import Speed

if TYPE_CHECKING:
    from pathlib import Path

    from visionserve.runtime.model import Model


class Clock:
    now = 0.0

    def perf_counter(self) -> float:
        return self.now


class Timed:
    """An engine that takes so many seconds for a batch of a size."""

    name, precision = "timed", "fp32"

    def __init__(self, clock: Clock, seconds: dict[int, float], *, one_by_one: bool = False) -> None:
        self._clock, self._seconds = clock, seconds
        self.one_by_one = one_by_one
        self.ran: list[int] = []

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        size = len(pixels)
        # The first run of a size takes longer, as a first run does.
        self._clock.now += self._seconds[size] * (1 if size in self.ran else 3)
        self.ran.append(size)
        return torch.zeros(size, 7)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("visionserve.runtime.engines.speed.time", made)
    return made


@pytest.fixture
def model(archive: Path) -> Model:
    return source(archive).model


def test_a_speed_is_pictures_a_second_alone_and_in_batches(clock: Clock, model: Model) -> None:
    assert model.batch_size == 8
    engines = [Timed(clock, {1: 0.01, 8: 0.04}), Timed(clock, {1: 0.005}, one_by_one=True)]
    batched, one_by_one = speed.compare(engines, model)
    assert [batched.alone, batched.batch] == pytest.approx([100, 200])
    assert [one_by_one.alone, one_by_one.batch] == pytest.approx([200, 200])


@pytest.mark.parametrize("seconds", [0.0001, 0.05, 3.0])
def test_it_is_measured_in_turns_and_soon(seconds: float, clock: Clock, model: Model) -> None:
    engines = [Timed(clock, {1: seconds, 8: seconds}) for _ in range(2)]
    speed.compare(engines, model)
    assert engines[0].ran == engines[1].ran
    assert 3 <= engines[0].ran.count(1) <= 20
    assert 2 <= engines[0].ran.count(8) <= 20
    assert clock.now < 1 + 20 * seconds


@pytest.mark.parametrize(
    ("one", "other", "beats"),
    [
        (Speed(10, 10), Speed(5, 5), True),
        (Speed(10, 10), Speed(10, 10), False),
        (Speed(10.4, 10.4), Speed(10, 10), False),
        (Speed(10.6, 10.6), Speed(10, 10), True),
        (Speed(20, 9), Speed(10, 10), False),
        (Speed(9, 20), Speed(10, 10), False),
    ],
)
def test_faster_is_faster_alone_and_in_batches(one: Speed, other: Speed, beats: bool) -> None:
    assert one.beats(other) == beats
    assert not (beats and other.beats(one))


def test_speeds_are_shown_as_people_write_them() -> None:
    assert str(Speed(1034.2, 9.641)) == "1034 and 9.64"
