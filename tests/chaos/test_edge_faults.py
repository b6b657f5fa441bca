"""The edge itself: killed under load, and asked whether it is well while it has more to do than it can."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.chaos.conftest import loaded, now
from tests.chaos.harness.flood import Flood
from tests.chaos.harness.outcomes import CUT, NOBODY
from tests.chaos.harness.served import PICTURE

if TYPE_CHECKING:
    from tests.chaos.conftest import Told
    from tests.chaos.harness.served import Served

pytestmark = pytest.mark.slow

SECONDS = 25.0  # of a flood
TIMES = 3  # asked whether it is ready while clients are refused


def started_again(server: Served) -> int:
    """How often the supervisor has started HAProxy again."""
    found = re.search(r"HAProxy started again: (\d+)", server.run("status").stdout)
    assert found is not None
    return int(found[1])


def test_haproxy_killed_under_load(served: Served, told: Told) -> None:
    served.wait_until_whole()
    before = started_again(served)
    (master,) = served.of("haproxy")
    killed, instances = [master, *master.children()], served.of("java")
    with loaded(served) as traffic:
        at = now()
        for process in killed:
            process.kill()
        psutil.wait_procs(killed, timeout=10)
        served.wait_until_whole()
        back = now()
        traffic.wait_for(300)
    cut = sum(count for outcome, count in traffic.lost.items() if outcome in CUT)
    told("HAProxy killed", traffic, at)
    assert set(traffic.lost) <= {*CUT, NOBODY}
    assert cut <= traffic.clients  # those that were under way; none that came later
    assert {each.outcome for each in traffic.asked if each.start > back} == {"answered"}
    assert served.of("java") == instances
    assert started_again(served) == before + 1


def test_it_is_ready_while_clients_are_refused(served: Served, told: Told) -> None:
    served.wait_until_whole()
    with loaded(served, clients=16) as traffic:
        traffic.take()
        begun = now()
        traffic.wait_for(200)
        best = traffic.count("answered") / (now() - begun)
    flood = Flood(url=served.url, path=traffic.path, picture=PICTURE, expected=traffic.expected)
    pouring = threading.Thread(target=flood.pour, args=(3 * best, SECONDS))
    pouring.start()
    asked: list[tuple[float, float, int, str]] = []
    while pouring.is_alive():
        start = now()
        done = served.run("ready")
        asked.append((start, now(), done.returncode, done.stdout + done.stderr))
    pouring.join()
    # An answer counts that was asked for and came between two refusals: the queue was full.
    refused = [each.start for each in flood.asked if each.outcome == "refused"]
    within = [each for each in asked if min(refused) < each[0] and each[1] < max(refused)]
    assert len(within) >= TIMES, asked
    slowest = max(end - start for start, end, _, _ in within)
    fault = f"flooded, and asked {len(within)} times whether it is ready, which took {slowest:.1f} s at most"
    told(fault, flood, float("inf"))
    assert [(code, said) for _, _, code, said in asked if code != 0] == []
    assert flood.lost == {}
