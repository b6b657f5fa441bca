"""Plans and durations."""

from __future__ import annotations

from argparse import ArgumentParser

import pytest

from visionserve.load import plan
from visionserve.load.errors import LoadError
from visionserve.load.plan import Plan


@pytest.mark.parametrize(
    "wanted", [Plan(users=3, warm_up=0.5), Plan(rate=12.5, arrivals="constant", seed=7, generators=2)]
)
def test_a_plan_survives_the_command_line(wanted: Plan) -> None:
    parser = ArgumentParser()
    plan.add_options(parser)
    assert Plan.from_options(parser.parse_args(wanted.arguments())) == wanted


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("5m", 300), ("1h30m", 5400), ("250ms", 0.25), ("1.5s", 1.5)]
)
def test_durations(text: str, seconds: float) -> None:
    assert plan.seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "30", "s", "5 minutes", "1.2.3s", "-5s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(LoadError, match="is no duration"):
        plan.seconds(text)


def test_impossible_plans_are_refused() -> None:
    with pytest.raises(LoadError, match="either a rate"):
        Plan()
    with pytest.raises(LoadError, match="either a rate"):
        Plan(rate=5, users=5)
    with pytest.raises(LoadError, match="duration is 0"):
        Plan(users=1, duration=0)
