"""Trying a running server's model on labelled pictures."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from visionserve.cli.console import Root, errors, marked, output

if TYPE_CHECKING:
    from visionserve.evaluation.accuracy import Share
    from visionserve.evaluation.judging.findings import Findings

_SLOWEST = 10  # pictures that are asked again
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
    root: Root = Path(),
) -> None:
    """Say how often a running server is right about labelled pictures, where it is not, and how sure it may be."""
    from visionserve.evaluation import asking, labelled, report
    from visionserve.evaluation.judging import comparison, findings
    from visionserve.evaluation.report.document import Evaluation
    from visionserve.evaluation.served import Served
    from visionserve.project import Project
    from visionserve.server import state

    project, started = Project(root), datetime.now()
    found = state.addresses(project)
    served = Served(model, url or found.inference, management or ("" if url else found.management))
    labels = served.labels()
    places = {label: index for index, label in enumerate(labels)}
    other = Served.named(against, served) if against else None
    # Of models that cannot be compared neither is asked for thousands of pictures.
    other_places = comparison.places(other, other.labels(), served, labels) if other else {}
    read = labelled.read(source, labels)
    chosen = labelled.evenly(read.pictures, limit) if limit else read.pictures
    answers = asking.ask(served, labels, places, chosen, clients)
    others = asking.ask(other, labels, other_places, chosen, clients) if other else None
    judged = findings.judge(answers, others)
    made = Evaluation(
        findings=judged,
        source=source,
        started=f"{started:%Y-%m-%d %H:%M:%S}",
        url=served.inference,
        clients=clients,
        notes=_notes(read.note, len(chosen), len(read.pictures)),
        server=served.description(),
        other=other.description() if other else {},
        alone=asking.ask_alone(served, places, answers.slowest(_SLOWEST)),
    )
    written = report.write(made, out or project.reports / f"evaluate-{model}-{started:%Y%m%d-%H%M%S}")
    output.print(_table(judged))
    for note in made.notes:
        errors.print(marked("yellow", "note:", f" {note}"), soft_wrap=True)
    for mistake in judged.mistakes:
        errors.print(marked("yellow", "note:", f" {mistake}"), soft_wrap=True)
    output.print(f"report: {written}, with report.json beside it", soft_wrap=True)
    if fail_below is not None and judged.top1.value < fail_below:
        said = f" top-1 is {judged.top1}, and --fail-below is {fail_below:.1%}"
        errors.print(marked("bold red", "failed:", said), soft_wrap=True)
        raise typer.Exit(_FAILED)


def _notes(taken: str, chosen: int, there: int) -> list[str]:
    thinned = f"{chosen} of {there} pictures were asked, evenly of each class" if chosen < there else ""
    return list(filter(None, (taken, thinned)))


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
        row(f"same answer as {found.comparison.other.model}", found.comparison.same)
        row(f"  {found.comparison.other.model} right", found.comparison.theirs)
        table.add_row("  difference", f"p = {found.comparison.p_value:.2g}", found.comparison.verdict)
    for target, answer in found.confusion.mistakes[:_PAIRS]:
        count, shown = found.confusion.cells[target, answer], found.confusion.shown[target]
        table.add_row(f"{labels[target]} taken for {labels[answer]}", f"{count} of {shown}", "")
    table.add_row("answered within", f"{found.latency['p50']:.1f} ms", f"p99 {found.latency['p99']:.1f} ms")
    for (status, kind), count in answers.refusals().most_common():
        table.add_row(f"not answered: {status or 'no status'} {kind}", str(count), "")
    return table
