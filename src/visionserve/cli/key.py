"""The keys by which clients are let in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visionserve.cli.console import Root, note, output

_DEFAULT = "keys.txt"

Name = Annotated[str, typer.Argument(metavar="NAME", help="How logs call the one who has the key.")]


def add_commands(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(help="Who may ask: the keys of server.yaml's keys.file.", no_args_is_help=True)
    group.command("add")(add)
    group.command("list")(names)
    group.command("remove")(remove)
    app.add_typer(group, name="key")


def add(name: Name, root: Root = Path()) -> None:
    """Make a random key and print it, once: only its digest is kept."""
    from visionserve.server.edge.access import client_keys

    file = _file(root)
    typer.echo(client_keys.new(file, name))
    note("a running server knows it after 'visionserve reload --keys'")


def names(root: Root = Path()) -> None:
    """List the names of the keys."""
    from visionserve.server.edge.access import client_keys

    for key in client_keys.read(_file(root)):
        typer.echo(key.name)


def remove(name: Name, root: Root = Path()) -> None:
    """Revoke a key."""
    from visionserve.server.edge.access import client_keys

    client_keys.remove(_file(root), name)
    output.print(f"revoked {name}; a running server knows after 'visionserve reload --keys'")


def _file(root: Path) -> Path:
    """The keys' file that server.yaml names, or the one that it should."""
    from visionserve.project import Project
    from visionserve.server.settings.serving import Serving

    settings = Serving.read(Project(root).serving)
    if settings.keys is None:
        note(f"keys are asked for once server.yaml says so: keys: {{file: {_DEFAULT}}}")
        return root / _DEFAULT
    return root / settings.keys.file
