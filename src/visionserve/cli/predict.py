"""Asking a running server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from visionserve.cli.console import KeyFile, Root, errors, marked, output
from visionserve.runtime.errors import VisionserveError

if TYPE_CHECKING:
    from collections.abc import Sequence


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command("predict")(predict)


def predict(
    images: Annotated[list[Path], typer.Argument(help="Picture files, or folders of them.")],
    model: Annotated[str | None, typer.Option(help="The model; may be left out when only one is served.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a picture and line.")] = False,
    url: Annotated[
        str | None,
        typer.Option(
            help="The server's inference address, or a model there: http://HOST:PORT/predictions/NAME.",
            show_default="the running server's",
        ),
    ] = None,
    management: Annotated[
        str | None, typer.Option(help="The server's management address.", show_default="the running server's")
    ] = None,
    key_file: KeyFile = None,
    root: Root = Path(),
) -> None:
    """Classify pictures: the top labels of each with their probabilities."""
    from visionserve import api_key
    from visionserve.calls import Refused
    from visionserve.client import Client

    inference, listing, named = _asked(url, management, model, root)
    files = _files(images)
    failed = False
    with Client(inference, listing, api_key.find(key_file)) as client:
        name = named or client.only_model()
        for path in files:
            try:
                answer = client.predict(name, path.read_bytes())
            except Refused as error:
                failed = True
                _show_error(path, error, as_json)
                continue
            if as_json:
                typer.echo(json.dumps({"image": str(path), "model": name, "predictions": answer}))
            else:
                output.print(_table(path, answer))
    if failed:
        raise typer.Exit(1)


def _asked(url: str | None, management: str | None, model: str | None, root: Path) -> tuple[str, str, str | None]:
    """The inference and management address, and the model if it is named; with a URL, nothing from this machine.

    Raises:
        BadParameter: The URL's server is not told by which model, nor where it lists them; or two are named.
    """
    from visionserve.client import split
    from visionserve.project import Project
    from visionserve.server.run import record

    if url is None:
        found = record.addresses(Project(root))
        return found.near, management or found.management, model
    inference, named = split(url)
    if "/" in named or (model and named and model != named):
        raise typer.BadParameter(f"--url names the model '{named}'" + (f", and --model {model}" if model else ""))
    if not (model or named or management):
        raise typer.BadParameter(
            "with --url, name the model: --url http://HOST:PORT/predictions/NAME, or --model NAME, or the"
            " --management address that lists them"
        )
    return inference, management or "", model or named or None


def _files(paths: Sequence[Path]) -> list[Path]:
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise VisionserveError(f"{', '.join(missing)}: no such file or folder")
    files = [
        file
        for path in paths
        for file in (sorted(entry for entry in path.iterdir() if entry.is_file()) if path.is_dir() else [path])
    ]
    if not files:
        raise VisionserveError(f"no files in {', '.join(map(str, paths))}")
    return files


def _table(path: Path, answer: dict[str, float]) -> Table:
    table = Table("label", "probability", title=str(path), title_justify="left", min_width=40)
    table.columns[1].justify = "right"
    for label, probability in answer.items():
        table.add_row(label, f"{probability:.4f}")
    return table


def _show_error(path: Path, error: Any, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"image": str(path), "error": {"code": error.status, "message": str(error)}}))
    else:
        errors.print(marked("red", str(path), f": {error}"), soft_wrap=True)
