"""New archives for a running server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visionserve.cli.console import Root, busy, marked, note, output

if TYPE_CHECKING:
    from visionserve.project import Project
    from visionserve.server.run.record import Running


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command("reload")(reload)


def reload(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="MODEL", help="Models; without any, all.", show_default=False)
    ] = None,
    gap: Annotated[
        bool,
        typer.Option("--gap", help="End the old instance first, where there is no memory for two: 503 meanwhile."),
    ] = False,
    keys: Annotated[
        bool, typer.Option("--keys", help="Read API keys and certificate anew, at once, and nothing else.")
    ] = False,
    root: Root = Path(),
) -> None:
    """Serve the archives that are in model_store/ now, without failing a request; a bad one changes nothing."""
    from visionserve.project import Project
    from visionserve.server.orders import giving

    if keys and (models or gap):
        raise typer.BadParameter("--keys reads no archives: leave MODEL and --gap out")
    running = _supervised(Project(root))
    if stale := giving.status(Path(running.orders)).stale:
        note(stale)
    if keys:
        giving.reload_keys(Path(running.orders))
        output.print("read again: keys and certificate")
        return
    try:
        with busy("a new instance is loading"):
            for name, seconds in giving.reload(Path(running.orders), models or [], gap=gap):
                output.print(marked("green", "proven", f" {name} after {seconds:.1f} s"))
    except KeyboardInterrupt:
        note("the server goes on with the reload; 'visionserve status' counts those that were done")
        raise
    output.print("reloaded; the instances before have answered what they had")


def _supervised(project: Project) -> Running:
    """The project's server, which takes orders.

    Raises:
        ServerError: None runs, or it is a TorchServe alone.
    """
    from visionserve.server.errors import ServerError
    from visionserve.server.run import record

    running = record.find(project)
    if running is None:
        starting = record.process(project)
        raise ServerError(
            f"the server (process {starting}) is still starting"
            if starting
            else "no server runs for this folder; start it with 'visionserve serve'"
        )
    if not running.orders:
        raise ServerError("this server runs without HAProxy and takes no orders: stop it, and start it again")
    return running
