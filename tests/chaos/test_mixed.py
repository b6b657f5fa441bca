"""A fault a minute for an hour under constant load: `make test-chaos-hour`, or by itself

python -m pytest tests/chaos/test_mixed.py -m manual -s --minutes 60 --every 60 --write-reliability

`--minutes 6 --every 25` visits every kind of fault once.
"""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.chaos.conftest import loaded, now
from tests.chaos.harness.faults import CUTTING, Faults
from tests.chaos.harness.footprint import Footprint
from tests.chaos.harness.outcomes import CUT, NOBODY
from tests.chaos.harness.reliability import KINDS, Kind
from tests.chaos.harness.served import Served, project

from visionserve.server.edge.access import client_keys

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.chaos.harness.outcomes import Outcomes
    from tests.chaos.harness.traffic import Traffic

# Who wants nothing lost and nobody to wait runs two instances: one goes on when the other's Java is gone.
INSTANCES = 2
SETTINGS = f"instances: {INSTANCES}\nkeys: {{file: keys.txt}}\n"
CLIENTS = 8
HEALED = 300.0  # seconds that a fault may last
STEADY = 3.0  # seconds of undisturbed load before a fault
# Bounds of what an hour may leave.
SUPERVISOR_GROWTH, HAPROXY, LOGS, LOG_FILES = 30.0, 400.0, 150.0, 80


def wait_until_whole(server: Served, broken: Sequence[psutil.Process]) -> None:
    """Wait until what a fault broke is gone, and all is there and ready."""
    end = time.monotonic() + HEALED
    while not (
        not any(map(lives, broken))
        and len(server.of("java")) == len(server.worker_processes()) == INSTANCES
        and server.is_ready
    ):
        assert time.monotonic() < end, f"it did not heal: {server.run('ready').stdout}{server.said}"
        time.sleep(0.1)


def lives(process: psutil.Process) -> bool:
    """Whether it still runs."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it ended just now
        return False


def suffered(
    server: Served, faults: Faults, kind: str, traffic: Traffic, until: float
) -> tuple[Outcomes, float, float]:
    """Do one fault, wait until it is over, and say what became of the requests, when it began and was done."""
    wait_for_moment(now() + STEADY)
    at = now()
    broken = faults.do(kind)
    done = now()
    wait_until_whole(server, broken)
    whole = now()
    traffic.wait_for_all_before(whole)
    wait_for_moment(max(until, whole + STEADY))
    return traffic.take(), at, done


def wait_for_moment(moment: float) -> None:
    """Let the traffic go on."""
    time.sleep(max(0.0, moment - now()))


def beyond(kind: str, outcomes: Outcomes) -> dict[str, int]:
    """The lost requests that this kind of fault cannot excuse."""
    lost = outcomes.lost
    if kind in CUTTING and sum(lost.get(each, 0) for each in CUT) <= CLIENTS:
        return {outcome: count for outcome, count in lost.items() if outcome not in (*CUT, NOBODY)}
    return lost


@pytest.mark.manual
@pytest.mark.timeout(0)
def test_an_hour_of_faults_loses_nothing(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    every, minutes, seed = (request.config.getoption(name) for name in ("--every", "--minutes", "--seed"))
    root = project(tmp_path, workers=1, server=SETTINGS)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    key = client_keys.new(root / "keys.txt", "traffic")
    kinds: dict[str, Kind] = {}
    bad: list[str] = []
    with Served(root) as server:
        faults = Faults(server, key, seed)
        wait_until_whole(server, ())
        with loaded(server, CLIENTS, key) as traffic:
            first, begun = Footprint.of(server, temporary), now()
            print(f"\nat first: {first}")  # noqa: T201
            traffic.take()
            for number, kind in enumerate(faults.order(round(60 * minutes / every)), 1):
                outcomes, at, done = suffered(server, faults, kind, traffic, begun + number * every)
                kinds.setdefault(kind, Kind(kind, [])).each.append((outcomes, at, done))
                recovery = outcomes.recovery(at, done)
                print(f"{(now() - begun) / 60:5.1f} min, {kind}: {outcomes}, recovered after {recovery:.1f} s")  # noqa: T201
                print(f"           {Footprint.of(server, temporary)}", flush=True)  # noqa: T201
                if lost := beyond(kind, outcomes):
                    bad.append(f"{number}, {kind}: {lost}")
        assert server.run("ready").returncode == 0
        assert "\nready\n" in server.run("status").stdout
        last = at_rest(server, temporary, first)
        left = server.all()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
    print(f"at last: {last}")  # noqa: T201
    request.config.stash[KINDS].extend(kinds[kind] for kind in sorted(kinds))
    assert bad == []
    assert last.zombies == []
    assert last.processes == first.processes
    assert last.run == first.run
    assert last.temporary == first.temporary
    assert last.descriptors <= first.descriptors + 4
    assert last.supervisor <= first.supervisor + SUPERVISOR_GROWTH
    assert last.haproxy <= HAPROXY
    assert last.logs <= LOGS
    assert last.files <= LOG_FILES
    assert psutil.wait_procs(left, timeout=10)[1] == []
    assert not (root / ".visionserve" / "run").exists()
    assert list(temporary.iterdir()) == []


def at_rest(server: Served, temporary: Path, first: Footprint) -> Footprint:
    """What it takes up when HAProxy's processes of before the last reload have ended."""
    end = time.monotonic() + HEALED
    while (found := Footprint.of(server, temporary)).processes != first.processes and time.monotonic() < end:
        time.sleep(1)
    return found
