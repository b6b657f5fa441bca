"""What stands in the tables of docs/reliability.md."""

from __future__ import annotations

import pytest
from tests.chaos.harness.outcomes import Asked, Outcomes
from tests.chaos.harness.reliability import Kind, Row


def load(*pauses: tuple[float, float], seconds: float = 30.0, rate: int = 20) -> Outcomes:
    """Requests that are answered at once, but for pauses."""
    times = [number / rate for number in range(int(seconds * rate))]
    return Outcomes(
        [Asked(at, at + 0.01, "answered") for at in times if not any(begin <= at < end for begin, end in pauses)]
    )


@pytest.mark.parametrize(
    ("pauses", "recovery"),
    [
        ([], 0.0),
        ([(10.0, 13.0)], 3.0),
        ([(12.0, 13.0)], 3.0),  # a fault need not bite at once
        ([(10.0, 11.0), (14.0, 16.0)], 6.0),  # nor is a moment without trouble its end
        ([(10.0, 11.0), (20.0, 21.0)], 1.0),  # but later ones are others' fault
        ([(10.0, 31.0)], float("inf")),
        ([(0.0, 10.0)], float("inf")),
    ],
)
def test_the_time_until_answers_come_as_before(pauses: list[tuple[float, float]], recovery: float) -> None:
    assert load(*pauses).recovery(10.0) == pytest.approx(recovery, abs=0.5)


def test_a_fault_that_takes_long_is_not_over_before_it_is_done() -> None:
    late = load((20.0, 21.0))
    assert late.recovery(10.0) == 0.0
    assert late.recovery(10.0, 17.0) == pytest.approx(11.0, abs=0.5)


def test_a_time_that_there_is_not_is_left_out() -> None:
    never = Outcomes([Asked(number / 10, number / 10 + 0.05, "answered") for number in range(30)])
    assert never.recovery(10.0) == float("inf")
    assert str(Row.of("a fault", never, 10.0)).endswith("| 0.05 |  |")
    assert str(Kind("a fault", [(never, 10.0, 10.0)])).endswith("| 0.05 |  |  |")
    assert str(Kind("a fault", [(never, 1.02, 1.02), (never, 1.02, 1.02), (never, 10.0, 10.0)])).endswith(
        "| 0.05 | 0.0 |  |"
    )
