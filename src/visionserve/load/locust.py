"""Runs Locust as its own process and reads what it measured."""

from __future__ import annotations

import csv
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from visionserve.runtime.errors import VisionserveError

if TYPE_CHECKING:
    from pathlib import Path

LOCUSTFILE = "tests/load/locustfile.py"


class LoadError(VisionserveError):
    """The load test could not be run."""


@dataclass(frozen=True)
class Measured:
    """What Locust says of a closed-loop run.

    Attributes:
        requests: How many were answered or failed.
        failures: Those with an error or a wrong answer.
        throughput: Requests per second.
        p50: Median latency in ms, from sending to the whole answer; Locust rounds to two digits.
        p95: 95th percentile of the same.
        p99: 99th percentile of the same.
    """

    requests: int
    failures: int
    throughput: float
    p50: float
    p95: float
    p99: float


def command(root: Path, host: str, model: str, archive: Path) -> list[str]:
    """The Locust command for one model, headless or with Locust's own page as its further arguments say."""
    target = ["--host", host, "--model", model, "--archive", str(archive)]
    return [sys.executable, "-m", "locust", "-f", str(root / LOCUSTFILE), *target]


def run(root: Path, host: str, model: str, archive: Path, users: int, duration: str, folder: Path) -> Measured:
    """Run headless for a time; write `report.html` and CSV files into `folder`.

    Args:
        root: The project's folder.
        host: Base URL of the server's inference address.
        model: The model to ask.
        archive: Its .mar, whose golden pictures are sent and whose answers are right.
        users: How many clients ask at once, each waiting for its answer.
        duration: How long, as Locust writes it: `30s`, `5m`.
        folder: Where the reports go.

    Raises:
        LoadError: Locust could not run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    quiet = ["--headless", "--only-summary", "--loglevel", "WARNING"]
    size = ["--users", str(users), "--spawn-rate", str(users), "--run-time", duration]
    reports = ["--html", str(folder / "report.html"), "--csv", str(folder / "locust")]
    log = folder / "locust.log"
    with log.open("wb") as output:
        code = subprocess.run(
            [*command(root, host, model, archive), *quiet, *size, *reports],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    stats = folder / "locust_stats.csv"
    if code not in (0, 1) or not stats.exists():
        raise LoadError(f"locust ended with code {code}: {log.read_text(errors='replace').strip()[-500:]}")
    return _read(stats)


def _read(stats: Path) -> Measured:
    with stats.open(newline="", encoding="utf-8") as file:
        total = next(row for row in csv.DictReader(file) if row["Name"] == "Aggregated")
    if total["50%"] == "N/A":
        raise LoadError("locust sent no request; a longer DURATION would help")
    return Measured(
        requests=int(total["Request Count"]),
        failures=int(total["Failure Count"]),
        throughput=float(total["Requests/s"]),
        p50=float(total["50%"]),
        p95=float(total["95%"]),
        p99=float(total["99%"]),
    )
