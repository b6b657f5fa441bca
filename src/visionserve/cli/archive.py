"""Building archives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visionserve.cli.console import Root, TrustPickle, busy, note, output
from visionserve.cli.stated import Check, MinAccuracy, absolute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from visionserve.archiver.builder import Built

_MEBIBYTE = 1 << 20


def add_commands(app: typer.Typer) -> None:
    """Add this command."""
    app.command("archive")(archive)


def archive(
    models: Annotated[list[str] | None, typer.Argument(help="Model names; default: every models/*.yaml.")] = None,
    weights: Annotated[Path | None, typer.Option(help="A weights file to take instead of the model's.")] = None,
    trust_pickle: TrustPickle = False,
    check: Check = None,
    min_accuracy: MinAccuracy = None,
    make_rules: Annotated[
        bool, typer.Option("--make-rules", help="Also write what each archive depends on, for make.")
    ] = False,
    root: Root = Path(),
) -> None:
    """Turn local weights into model_store/NAME.mar, proven on golden pictures."""
    from visionserve.archiver import builder, fingerprint
    from visionserve.archiver.assumptions import Stated
    from visionserve.archiver.models import catalog
    from visionserve.project import Project
    from visionserve.runtime.errors import SpecError

    names = models or catalog.names(root)
    if not names:
        raise SpecError(f"{Project(root).models} has no *.yaml; 'visionserve init WEIGHTS' writes one")
    if weights is not None and len(names) != 1:
        raise typer.BadParameter(f"--weights is for one model; {len(names)} are named")
    if check is not None and len(names) != 1:
        raise typer.BadParameter(f"--check is for one model; {len(names)} are named")
    stated = Stated(check=absolute(check), min_accuracy=min_accuracy)
    for name in names:
        source = catalog.find(root, name)
        spec = stated.checked(catalog.read(source))
        with busy(f"building {name}"):
            # Of weights named here only, 'serve' could not tell whether they have changed.
            built_from = fingerprint.of_described(Project(root), spec) if weights is None else None
            built = builder.build(root, spec, source, weights, trust_pickle=trust_pickle, built_from=built_from)
        if make_rules:
            _write_make_rules(built.archive.path, built.inputs)
        show(built)


def show(built: Built) -> None:
    """Print what was built, and what its user should judge."""
    picture, label, probability = built.golden
    output.print(
        f"{built.archive.path}: {built.archive.size / _MEBIBYTE:.1f} MiB, built on {built.device}\n"
        f"  SHA-256  {built.archive.sha256}\n"
        f"  weights  {built.weights}\n"
        f"  golden   {picture} is '{label}' with {probability:.4f}\n"
        f"  engine   {built.engine}"
        + (f"\n  int8     {built.int8}" if built.int8 else "")
        + (f"\n  check    {built.checked}" if built.checked else ""),
        soft_wrap=True,
    )
    for text in built.notes:
        note(text)


def _write_make_rules(target: Path, inputs: Sequence[Path]) -> None:
    """What make must know to rebuild just what changed; an input that is gone is no error to make."""
    paths = [str(path).replace(" ", "\\ ").replace("$", "$$") for path in inputs]
    rules = f"{target}: {' '.join(paths)}\n" + "".join(f"{path}:\n" for path in paths)
    target.with_name(f".{target.stem}.d").write_text(rules, encoding="utf-8")
