"""Trying a running server's model on labelled pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from visionserve.cli.console import KeyFile, Root, errors, marked, output

if TYPE_CHECKING:
    from visionserve.evaluation.accuracy import Share
    from visionserve.evaluation.judging.findings import Findings

_PAIRS = 3
_FAILED = 1


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command("evaluate")(evaluate)


def evaluate(
    model: Annotated[str, typer.Argument(help="A model that is served.")],
    source: Annotated[
        Path,
        typer.Argument(
            help="Labelled pictures: a folder with one subfolder per class, or a CSV of names and classes."
        ),
    ],
    against: Annotated[
        str | None,
        typer.Option(
            help="Compare with another model of the server, or of another: http://HOST:PORT/predictions/NAME.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Ask so many pictures at most, evenly of each class.")
    ] = None,
    fail_below: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Exit with 1 if a smaller share of top-1 is right, such as 0.9."),
    ] = None,
    clients: Annotated[int, typer.Option(min=1, max=256, help="Requests at once.")] = 8,
    out: Annotated[
        Path | None,
        typer.Option(help="The report's folder.", show_default="reports/evaluate-MODEL-TIME", file_okay=False),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="The server's inference address.", show_default="the running server's")
    ] = None,
    management: Annotated[
        str | None, typer.Option(help="The server's management address.", show_default="the running server's")
    ] = None,
    key_file: KeyFile = None,
    root: Root = Path(),
) -> None:
    """Say how often a running server is right about labelled pictures, where it is not, and how sure it may be."""
    from visionserve import api_key
    from visionserve.evaluation import report
    from visionserve.evaluation.running import trial
    from visionserve.evaluation.running.served import Served
    from visionserve.project import Project
    from visionserve.server.run import record

    project = Project(root)
    # Behind another address than the recorded one there is another server.
    found = record.Addresses(url, "") if url else record.addresses(project)
    served = Served(model, found.inference, management or found.management, api_key.find(key_file))
    tried = trial.run(served, source, clients, limit, against)
    judged = tried.findings
    written = report.write(tried, out or project.reports / f"evaluate-{model}-{tried.started:%Y%m%d-%H%M%S}")
    output.print(_table(judged))
    for note in (*tried.notes, *judged.mistakes):
        errors.print(marked("yellow", "note:", f" {note}"), soft_wrap=True)
    output.print(f"report: {written}, with report.json beside it", soft_wrap=True)
    if fail_below is not None and judged.top1.value < fail_below:
        said = f" top-1 is {judged.top1}, and --fail-below is {fail_below:.1%}"
        errors.print(marked("bold red", "failed:", said), soft_wrap=True)
        raise typer.Exit(_FAILED)


def _table(found: Findings) -> Table:
    answers, labels = found.answers, found.answers.labels
    table = Table(
        "", "", "95 % confidence", title=f"{answers.model}, {found.top1.total} pictures", title_justify="left"
    )
    table.columns[1].justify = table.columns[2].justify = "right"

    def row(name: str, share: Share) -> None:
        low, high = share.interval
        table.add_row(name, f"{share.value:.1%}", f"{low:.1%} - {high:.1%}")

    row("right (top-1)", found.top1)
    if found.top5:
        row("among the first 5", found.top5)
    sure = found.reliability
    table.add_row("calibration error", f"{sure.ece:.1%}", f"by chance up to {sure.chance:.1%}")
    if found.comparison:
        beyond = "beyond" if found.comparison.beyond_chance else "within"
        row(f"same answer as {found.comparison.other.model}", found.comparison.same)
        row(f"  {found.comparison.other.model} right", found.comparison.theirs)
        table.add_row("  difference", f"p = {found.comparison.p_value:.2g}", f"{beyond} chance")
    for target, answer in found.confusion.mistakes[:_PAIRS]:
        count, shown = found.confusion.cells[target, answer], found.confusion.shown[target]
        table.add_row(f"{labels[target]} taken for {labels[answer]}", f"{count} of {shown}", "")
    table.add_row("half answered within", f"{found.latency['p50']:.1f} ms", f"p99 {found.latency['p99']:.1f} ms")
    for (status, kind), count in answers.refusals().most_common():
        table.add_row(f"not answered: {status or 'no status'} {kind}", str(count), "")
    return table
