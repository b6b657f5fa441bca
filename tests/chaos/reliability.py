"""What faults cost, as a table: docs/reliability.md holds the last one that was written."""

from __future__ import annotations

import datetime
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from visionserve.load import machine
from visionserve.server.edge import haproxy

if TYPE_CHECKING:
    from tests.chaos.traffic import Traffic

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
_TABLE = re.compile(r"(<!-- faults: begin[^\n]*-->\n).*(<!-- faults: end -->)", re.DOTALL)
_HEAD = (
    "| under 8 clients | sent | answered | 503, Retry-After | lost | longest answer, s | full rate after, s |\n"
    "|---|---:|---:|---:|---:|---:|---:|\n"
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
        longest: Seconds of the longest request.
        full: Seconds until the rate of answers was what it had been.
    """

    fault: str
    sent: int
    answered: int
    refused: int
    lost: int
    longest: float
    full: float

    @classmethod
    def of(cls, fault: str, traffic: Traffic, at: float) -> Row:
        """What a fault at a time cost."""
        return cls(
            fault,
            len(traffic.asked),
            traffic.count("answered"),
            traffic.count("refused"),
            sum(traffic.lost.values()),
            max(each.end - each.start for each in traffic.asked),
            traffic.full_again(at),
        )

    def __str__(self) -> str:
        full = f"{self.full:.1f}" if math.isfinite(self.full) else ""
        return (
            f"| {self.fault} | {self.sent} | {self.answered} | {self.refused} | {self.lost} | {self.longest:.2f}"
            f" | {full} |"
        )


def write(rows: list[Row]) -> None:
    """Put the rows, with the machine beside them, where the page has its table."""
    setting = (
        f"\n{datetime.datetime.now(datetime.UTC):%Y-%m-%d}, {machine.processor()}, {os.cpu_count()} cores;"
        f" HAProxy {haproxy.find().version}, TorchServe 0.12.0; `make test-chaos` measures it again.\n"
    )
    table = _HEAD + "".join(f"{row}\n" for row in rows) + setting
    PAGE.write_text(_TABLE.sub(lambda found: found[1] + table + found[2], PAGE.read_text()))
