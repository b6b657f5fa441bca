"""Mutated pictures and bodies against a live server: `make fuzz`.

Prints what was tried, what it got, whether a worker was restarted and how its memory grew; fails when an answer is
none of those in docs/api.md, a connection is dropped, a worker ends, its memory grows, or the answer of a whole
picture among all that changes. What broke it is saved as it is found, in a file for each request, and `--replay`
asks it again: several files at once, as they were under way when a worker ended.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import requests
import typer
from rich.console import Console
from rich.table import Table
from tests.fuzzing import saved
from tests.fuzzing.fuzzer import LEAK, Fuzzer, Report
from tests.support import quick

from visionserve.server.instance import health
from visionserve.server.instance.launcher import TorchServe
from visionserve.server.settings.properties import Properties

REPOSITORY = Path(__file__).parents[2]
MODEL = "quick"


def _show(report: Report, console: Console) -> None:
    tried = Table("inputs tried", "requests")
    for kind, count in report.kinds.most_common():
        tried.add_row(kind, str(count))
    got = Table("status", "type", "answers")
    for (status, kind), count in sorted(report.answers.items()):
        got.add_row(str(status), kind, str(count))
    console.print(tried, got)
    console.print(
        f"{report.kinds.total()} requests in {report.seconds:.0f} s, worker restarts {report.restarts},"
        f" a whole picture waited {report.usual:.2f} s in the median and {report.delay:.2f} s"
        f" longer at most, memory"
        f" of the workers {report.settled[0] / 1e6:.0f} MB when settled, {report.memory[-1] / 1e6:.0f} MB at"
        f" the end ({report.growth:+.1%})"
    )


def main(
    count: Annotated[int, typer.Option("--requests", help="How many to try.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Another seed tries others.")] = 0,
    replay: Annotated[
        list[Path] | None, typer.Option(help="A request that an earlier run saved, to try alone.")
    ] = None,
) -> None:
    """Serve a small network, fuzz it, and exit with 1 if the contract was broken."""
    again = [saved.load(file) for file in replay or []]
    found = Path(tempfile.mkdtemp(prefix="visionserve-fuzz-found-"))
    console = Console()
    with tempfile.TemporaryDirectory(prefix="visionserve-fuzz-") as folder:
        project = quick.project(Path(folder))
        # Most models decode so; what is no plain JPEG goes the exact way all the same.
        archive = quick.build(project, MODEL, max_pixels=50_000_000, more="  decode: fast\n").archive.path
        properties = Properties.read(REPOSITORY / "config.properties").on_free_ports()
        with TorchServe({MODEL: archive}, properties, project / "logs") as server:
            for _ in health.wait_until_ready(server, timeout=120):
                pass
            url = f"{properties.management}/models/{MODEL}?customized=true"
            versions = requests.get(url, timeout=10).json()[0]["customizedMetadata"]["versions"]
            console.print(f"Pillow {versions['PIL']} decodes", highlight=False)
            fuzzer = Fuzzer(server, MODEL, found)
            report = fuzzer.replay(again) if again else fuzzer.run(count, seed, show=True)
        _show(report, console)
        for problem, by in report.problems.items():
            kinds = ", ".join(f"{attempt.method} {attempt.kind}" for attempt in by)
            console.print(f"{problem}: {kinds}", markup=False)
        if report.problems:
            console.print(f"the requests are in {found}: 'make fuzz REPLAY={found}/1-0.request' tries one again")
        else:
            found.rmdir()
        if report.problems or (not again and report.growth > LEAK):
            raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
