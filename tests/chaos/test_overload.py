"""More than a server can do: it does what it can, and tells the others when to come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.chaos.conftest import aimed, loaded, now
from tests.chaos.harness.flood import Flood
from tests.chaos.harness.served import PICTURE

if TYPE_CHECKING:
    from tests.chaos.conftest import Told
    from tests.chaos.harness.served import Served

SECONDS = 6.0
FILLED = 400  # requests more than it answers: beyond what may wait, however slow the machine is
# On two cores the clients take from the server what they need to send three times too much.
FLOOR = 0.7


@pytest.mark.slow
def test_at_three_times_what_it_can_it_goes_on_at_its_best(served: Served, told: Told) -> None:
    served.wait_until_whole()
    with loaded(served, clients=16) as traffic:
        traffic.take()
        begun = now()
        traffic.wait_for(400)
        best = traffic.count("answered") / (now() - begun)
    flood = Flood(url=served.url, path=traffic.path, picture=PICTURE, expected=traffic.expected)
    begun = now()
    flood.pour(3 * best, max(SECONDS, FILLED / (2 * best)))
    share = flood.count("answered") / (now() - begun) / best
    told(f"three times what it can: {100 * share:.0f} % of its best are answered", flood, float("inf"))
    assert flood.lost == {}
    assert flood.count("refused") > 0
    assert share >= FLOOR


def test_a_burst_from_nobody_to_64_clients(served: Served, told: Told) -> None:
    served.wait_until_whole()
    with aimed(served, clients=64) as burst:
        burst.wait_for(640)
    told("a burst of 64 clients where there were none", burst, float("inf"))
    assert burst.lost == {}
    assert burst.count("refused") == 0
