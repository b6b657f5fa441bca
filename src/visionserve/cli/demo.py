"""The whole way in one command."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from visionserve.cli.console import Root, busy, errors, marked, note, output

if TYPE_CHECKING:
    from visionserve.archiver.builder import Built
    from visionserve.archiver.demo.colours import Example
    from visionserve.client import Client
    from visionserve.project import Project


@dataclass(frozen=True)
class Part:
    """One network of the demo: its archive, where it comes from, and the pictures it is shown."""

    archive: Path
    origin: str
    examples: list[Example]


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command("demo")(demo)


def demo(
    model: Annotated[str, typer.Argument(help="A demo model.")] = "demo-resnet50",
    offline: Annotated[
        bool, typer.Option("--offline", help="Fetch nothing; use what is on this machine.")
    ] = False,
    root: Root = Path(),
) -> None:
    """Make a network that knows seven colours, serve it beside one trained on ImageNet, and ask both over REST.

    The exit code is 1 if a picture is classified wrongly.
    """
    from visionserve.archiver.demo import photographs
    from visionserve.client import Client
    from visionserve.project import Project
    from visionserve.server import store
    from visionserve.server.instance import health, launcher
    from visionserve.server.settings import properties

    project = Project(root)
    parts = [_colours(project, model)]
    try:
        parts.append(_photographs(project, offline=offline))
    except photographs.NoPhotographs as error:
        note(f"the colours alone: {error}")
    archives = {part.archive.stem: part.archive for part in parts}
    for archive in archives.values():
        store.require_undamaged(archive)
    settings = properties.Properties.read(project.config).on_free_ports()
    folder = project.reports / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    table = _table()
    wrong = 0
    with launcher.TorchServe(archives, settings, project.logs / "demo") as server:
        with busy(f"TorchServe loads {' and '.join(archives)}", output):
            for name, seconds in health.wait_until_ready(server, health.READY_TIMEOUT):
                output.print(marked("green", "ready", f"  {name} after {seconds:.1f} s"))
        with Client(settings.inference, settings.management) as client:
            for part in parts:
                wrong += _ask(client, part, folder, table)
    output.print("", table, "", sep="\n")
    shown = sum(len(part.examples) for part in parts)
    if wrong:
        errors.print(f"{wrong} of {shown} pictures were classified wrongly")
        raise typer.Exit(1)
    output.print(
        f"All {shown} are right; the pictures are in {folder}. The server is stopped.\n"
        "Next, your own network: 'visionserve serve flowers.pth --labels flowers.txt'.",
        soft_wrap=True,
    )


def _colours(project: Project, model: str) -> Part:
    """The network of seven colours, made here if it is not there yet."""
    from visionserve.archiver import builder
    from visionserve.archiver.demo import colours
    from visionserve.archiver.models import catalog
    from visionserve.archiver.weights import lookup
    from visionserve.runtime.errors import SpecError

    source = catalog.find(project.root, model)
    if not catalog.is_demo(project.root, source):
        raise SpecError(f"{model} is no demo model; there are {', '.join(catalog.demo_names(project.root))}")
    spec = catalog.read(source)
    weights = project.root / lookup.file_name(spec.handler)
    if not weights.exists():
        accuracy = colours.make(spec.handler, weights)
        right = f"{accuracy:.0%} of {colours.HELD_OUT} held-out pictures right"
        output.print(marked("green", "made", f"   {weights.name}: {right}"), soft_wrap=True)
    archive = project.archive(model)
    labels = project.find(str(spec.handler.labels))
    if not colours.is_current(archive, [source, weights, labels, *_carried(project)]):
        with busy(f"building {archive}", output):
            _built(builder.build(project.root, spec, source))
    return Part(archive, "made on this machine", colours.examples())


def _photographs(project: Project, *, offline: bool) -> Part:
    """The network trained on ImageNet, and photographs.

    Raises:
        NoPhotographs: They are not to be had here.
    """
    from visionserve.archiver.demo import colours, photographs

    examples = photographs.examples()
    network = photographs.choose(project.root, offline=offline)
    if network.note:
        note(network.note)
    archive = project.archive(network.spec.name)
    if not colours.is_current(archive, [network.source, network.weights, *_carried(project)]):
        with busy(f"building {archive}", output):
            _built(photographs.build(project.root, network))
    return Part(archive, "trained on ImageNet", examples)


def _carried(project: Project) -> list[Path]:
    from visionserve.archiver import contents

    return [project.handler, *contents.runtime_files().values()]


def _ask(client: Client, part: Part, folder: Path, table: Table) -> int:
    """Classify a part's pictures, a row each; return how many answers are wrong."""
    name = part.archive.stem
    table.add_row(Text(name, "bold"), Text(part.origin, "dim"))
    wrong = 0
    for example in part.examples:
        (folder / example.name).write_bytes(example.data)
        start = time.perf_counter()
        answer, probability = next(iter(client.predict(name, example.data).items()))
        elapsed = 1000 * (time.perf_counter() - start)
        right = answer in example.accepted
        wrong += not right
        said = Text(answer, "green") if right else Text(f"{answer}, wrong", "red")
        table.add_row(f"  {example.name}", example.truth, said, f"{probability:.2f}", f"{elapsed:.0f}")
    table.add_section()
    return wrong


def _table() -> Table:
    # Without its outer edge and with narrow gaps it has room for the longest names in 80 columns.
    table = Table("picture", "expected", "answer", "probability", "ms", box=box.SIMPLE_HEAD, show_edge=False)
    table.padding = (0, 1, 0, 0)
    for column in table.columns[3:]:
        column.justify = "right"
    return table


def _built(built: Built) -> None:
    output.print(marked("green", "built", f"  {built.archive.path.name}: {built.engine}"), soft_wrap=True)
