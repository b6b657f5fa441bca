"""What results show."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  # typer reads annotations
from typing import Annotated

import typer

from visionserve.cli.console import output


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command("report")(report)


def report(
    results: Annotated[
        list[Path],
        typer.Argument(help="Folders of runs, searches or sweeps; two or more are compared."),
    ],
    bound: Annotated[
        str | None, typer.Option(help="The latency within which an answer counts as goodput: 250ms.")
    ] = None,
    fail_if: Annotated[
        list[str] | None, typer.Option(help="A condition that fails a run: p99>150ms. Repeatable.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Where to write report.html, .md and .json.", show_default="the first folder"),
    ] = None,
) -> None:
    """Judge results again: one HTML file that works offline, and the same as Markdown and JSON."""
    from visionserve.cli.load.run import verdict
    from visionserve.load import plan, runs
    from visionserve.load import report as reports
    from visionserve.load.judging import thresholds

    limit = None if bound is None else 1000 * plan.seconds(bound)
    conditions = [thresholds.parse(text) for text in fail_if or []]
    written = reports.write(results, out or results[0], limit)
    output.print(f"report: {written}, with .md and .json beside it", soft_wrap=True)
    codes = [0]
    for folder in results if conditions else []:
        if (folder / runs.HEADER).exists():
            run = runs.read(folder)
            judged = run.judge(limit)
            codes.append(verdict(run, judged, run.objections(judged), conditions))
    raise typer.Exit(max(codes))
