"""What faults cost, as a table: docs/reliability.md holds the last one that was written."""

from __future__ import annotations

import datetime
import math
import os
import re
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.chaos.harness.outcomes import NOBODY

from visionserve.load import machine
from visionserve.server.edge import haproxy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.chaos.harness.outcomes import Outcomes

PAGE = Path(__file__).parents[3] / "docs" / "reliability.md"
_RECOVERED = """\
*Recovered* is when answers come at 80 % of the rate of the two seconds before the fault, and go on doing so for
five seconds after it was done, in every half second. No time is given where that did not happen while the load
lasted, and where there is no such rate to come back to: the server ends, or nobody asked before.

"""
_HEAD = (
    f"{_RECOVERED}"
    "| fault | sent | answered | 503, Retry-After | lost | longest answer, s | recovered after, s |\n"
    "|---|---:|---:|---:|---:|---:|---:|\n"
)
_COSTS_HEAD = (
    "| model | clients | p50 past the edge, ms | more through it, ms | requests/s through it over past it |\n"
    "|---|---:|---:|---:|---:|\n"
)
_KINDS_HEAD = (
    f"{_RECOVERED}"
    "| fault | times | sent | 503, Retry-After | lost | longest answer, s | recovered after, s: median | worst |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|\n"
)


@dataclass(frozen=True)
class Row:
    """One fault.

    Attributes:
        fault: What was done.
        sent: How many requests.
        answered: Rightly.
        refused: With 503 and a time to come again.
        lost: Neither.
        how: What of, where that is a matter of its own: connections cut or refused, wrong answers.
        longest: Seconds of the longest request.
        recovery: Seconds until answers came as fast as before, and went on doing so.
    """

    fault: str
    sent: int
    answered: int
    refused: int
    lost: int
    how: str
    longest: float
    recovery: float

    @classmethod
    def of(cls, fault: str, outcomes: Outcomes, at: float, done: float | None = None) -> Row:
        """What a fault cost that began at a time, and had been done at another if that took a while."""
        return cls(
            fault,
            len(outcomes.asked),
            outcomes.count("answered"),
            outcomes.count("refused"),
            sum(outcomes.lost.values()),
            how_lost([outcomes]),
            outcomes.longest,
            outcomes.recovery(at, done),
        )

    def __str__(self) -> str:
        lost = f"{self.lost}: {self.how}" if self.how else str(self.lost)
        return (
            f"| {self.fault} | {self.sent} | {self.answered} | {self.refused} | {lost} | {self.longest:.2f}"
            f" | {_time(self.recovery)} |"
        )


def how_lost(each: Sequence[Outcomes]) -> str:
    """What became of lost requests: connections cut or refused, wrong answers."""
    kinds = {
        "cut off": sum(outcomes.cut for outcomes in each),
        "found no server": sum(outcomes.count(NOBODY) for outcomes in each),
        "answered wrongly": sum(outcomes.wrong for outcomes in each),
    }
    return ", ".join(f"{count} {how}" for how, count in kinds.items() if count)


@dataclass(frozen=True)
class Kind:
    """One kind of fault of the mixed run.

    Attributes:
        name: What was done.
        each: What became of the requests each time, and when it began and had been done.
    """

    name: str
    each: list[tuple[Outcomes, float, float]]

    @property
    def lost(self) -> int:
        """Requests that were neither answered rightly nor refused with a time to come again."""
        return sum(sum(outcomes.lost.values()) for outcomes, _, _ in self.each)

    def __str__(self) -> str:
        sent = sum(len(outcomes.asked) for outcomes, _, _ in self.each)
        refused = sum(outcomes.count("refused") for outcomes, _, _ in self.each)
        recovery = [outcomes.recovery(at, done) for outcomes, at, done in self.each]
        longest = max(outcomes.longest for outcomes, _, _ in self.each)
        how = how_lost([outcomes for outcomes, _, _ in self.each])
        lost = f"{self.lost}: {how}" if how else str(self.lost)
        return (
            f"| {self.name} | {len(self.each)} | {sent} | {refused} | {lost} | {longest:.2f}"
            f" | {_time(statistics.median(recovery))} | {_time(max(recovery))} |"
        )


def _time(seconds: float) -> str:
    """Seconds, or nothing where there is no such time."""
    return f"{seconds:.1f}" if math.isfinite(seconds) else ""


# Where a run keeps them until its end. Not in conftest.py, of which pytest makes a module of its own.
ROWS = pytest.StashKey[list[Row]]()
KINDS = pytest.StashKey[list[Kind]]()
COSTS = pytest.StashKey[list[str]]()


def write(rows: list[Row]) -> None:
    """Put the rows where the page has its table of single faults."""
    _write("faults", _HEAD, rows, "make test-chaos-faults")


def write_kinds(kinds: list[Kind]) -> None:
    """Put the kinds of the mixed run where the page has its table of them."""
    _write("mixed", _KINDS_HEAD, kinds, "make test-chaos-hour")


def write_costs(rows: list[str]) -> None:
    """Put what the edge costs where the page has its table of that."""
    _write("costs", _COSTS_HEAD, rows, "make test-chaos-cost")


def _write(block: str, head: str, rows: Sequence[object], command: str) -> None:
    """Put rows, with the machine below them, into a block of the page; no rows leave what is there."""
    if not rows:
        return
    setting = (
        f"\n{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {machine.processor()}, {os.cpu_count()} cores;"
        f" HAProxy {haproxy.find().version}, TorchServe 0.12.0; `{command}` measures it again.\n"
    )
    table = head + "".join(f"{row}\n" for row in rows) + setting
    found = re.compile(rf"(<!-- {block}: begin[^\n]*-->\n).*(<!-- {block}: end -->)", re.DOTALL)
    PAGE.write_text(found.sub(lambda block: block[1] + table + block[2], PAGE.read_text()))
