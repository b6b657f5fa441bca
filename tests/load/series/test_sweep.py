"""Sweeps: every point once, whatever interrupts them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.load.conftest import serving

from visionserve.load.errors import LoadError
from visionserve.load.plan import Plan
from visionserve.load.series import sweep

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from visionserve.load.sending.generator import Session

PLANS = [Plan(users=count, warm_up=0, duration=0.5) for count in (1, 3)]


def test_neighbours_share_a_server() -> None:
    points = sweep.points({"batchSize": [1, 8], "minWorkers": [1, 2]}, PLANS)
    assert len(points) == 8
    assert points[0].settings == points[1].settings == {"batchSize": 1, "minWorkers": 1}
    assert points[1].name == "batchSize 1, minWorkers 1, 3 users, closed loop"


@pytest.mark.slow
def test_an_interrupted_sweep_goes_on_and_a_failed_point_is_told(tmp_path: Path) -> None:
    points = sweep.points({"service": [0.005, 0.01]}, PLANS)
    served: list[float] = []

    @contextmanager
    def serve(settings: Mapping[str, Any]) -> Iterator[Session]:
        served.append(settings["service"])
        if served == [0.005, 0.01]:
            raise LoadError("no such engine")
        with serving(tmp_path, **settings) as session:
            yield session

    def interrupt(number: int, _point: sweep.Point, _failure: str | None) -> None:
        if number == 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep.run(tmp_path / "sweep", points, serve, interrupt)
    assert [run is not None for run in sweep.read(tmp_path / "sweep").runs] == [True, False, False, False]
    first = (tmp_path / "sweep" / "point-001" / "samples.parquet").stat().st_mtime_ns

    served.clear()
    told: list[tuple[int, str | None]] = []
    sweep.run(tmp_path / "sweep", points, serve, lambda number, _, failure: told.append((number, failure)))
    assert told == [(0, None), (1, None), (2, "no such engine"), (3, "no such engine")]
    assert (tmp_path / "sweep" / "point-001" / "samples.parquet").stat().st_mtime_ns == first
    assert sweep.read(tmp_path / "sweep").failures == {2: "no such engine", 3: "no such engine"}

    sweep.run(tmp_path / "sweep", points, serve)
    swept = sweep.read(tmp_path / "sweep")
    assert swept.failures == {}
    assert served == [0.005, 0.01, 0.01]
    assert [run.plan for run in swept.runs if run] == [point.plan for point in points]
    with pytest.raises(LoadError, match="holds another sweep"):
        sweep.run(tmp_path / "sweep", points[:2], serve)


def test_the_pareto_front_is_what_no_other_beats_in_both() -> None:
    pairs = [(10.0, 5.0), (20.0, 6.0), (20.0, 7.0), (15.0, 9.0), (5.0, 5.0), (30.0, 40.0)]
    assert sweep.pareto(pairs) == [0, 1, 5]
