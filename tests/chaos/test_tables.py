"""What stands in the tables of docs/reliability.md."""

from __future__ import annotations

from tests.chaos.harness.outcomes import Asked, Outcomes
from tests.chaos.harness.reliability import Kind, Row


def test_a_time_that_there_is_not_is_left_out() -> None:
    never = Outcomes([Asked(number / 10, number / 10 + 0.05, "answered") for number in range(30)])
    assert never.full_again(10.0) == float("inf")
    assert str(Row.of("a fault", never, 10.0)).endswith("| 0.05 |  |")
    assert str(Kind("a fault", [(never, 10.0)])).endswith("| 0.05 |  |  |")
    assert str(Kind("a fault", [(never, 1.02), (never, 1.02), (never, 10.0)])).endswith("| 0.05 | 0.0 |  |")
