"""Asking a running server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from visionserve.cli.console import Root, errors, marked, output
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
        str | None, typer.Option(help="The server's inference address.", show_default="the running server's")
    ] = None,
    management: Annotated[
        str | None, typer.Option(help="The server's management address.", show_default="the running server's")
    ] = None,
    root: Root = Path(),
) -> None:
    """Classify pictures: the top labels of each with their probabilities."""
    from visionserve.client import Client, Refused
    from visionserve.project import Project
    from visionserve.server import state

    if url and not (management or model):
        raise typer.BadParameter("with --url, name the --model or the --management address that lists them")
    files = _files(images)
    found = state.addresses(Project(root))
    failed = False
    with Client(url or found.inference, management or found.management) as client:
        name = model or client.only_model()
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
