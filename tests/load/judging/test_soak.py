"""Growth that is found, and growth that is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from visionserve.load.judging import soak
from visionserve.load.plan import Plan

if TYPE_CHECKING:
    from pathlib import Path

    from tests.load.conftest import SessionMaker

    from visionserve.load.runs import Run

TIMES = np.arange(0.0, 600.0)


def drift(kind: str, values: np.ndarray) -> soak.Drift:
    return soak.drift(kind, kind, "", TIMES, values, 600.0)


@pytest.mark.parametrize("seed", range(5))
def test_a_leak_is_found_under_noise_and_a_steady_value_is_not_one(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0, 3, len(TIMES))
    leak = drift("memory", 400 + noise + TIMES / 600 * 30)
    assert leak.grows
    assert leak.slope.low <= 180 <= leak.slope.high
    assert leak.change == pytest.approx(30, abs=5)
    assert not drift("memory", 400 + noise).grows


def test_a_step_is_no_leak() -> None:
    assert not drift("handles", np.where(TIMES > 400, 60.0, 40.0)).grows
    assert not drift("memory", np.where(TIMES > 200, 500.0, 400.0)).grows


def test_growth_too_small_to_matter_is_none() -> None:
    assert not drift("memory", 400 + TIMES / 600).grows


def test_a_constant_has_no_slope() -> None:
    assert drift("handles", np.full(len(TIMES), 40.0)).slope.value == 0


@pytest.mark.slow
def test_a_leaking_server_is_caught_and_another_is_not(fake_session: SessionMaker, tmp_path: Path) -> None:
    plan = Plan(rate=50, arrivals="constant", warm_up=1, duration=5)
    leaking = fake_session(service=0.002, leak=200_000).run(plan, tmp_path / "leaking", interval=0.2)
    steady = fake_session(service=0.002).run(plan, tmp_path / "steady", interval=0.2)

    def grows(run: Run) -> dict[str, bool]:
        return {found.what: found.grows for found in soak.drifts(run) if found.what != "latency"}

    assert grows(leaking) == {"server memory": True, "server file handles": False}
    assert grows(steady) == {"server memory": False, "server file handles": False}
