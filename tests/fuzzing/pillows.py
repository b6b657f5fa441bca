"""`make fuzz` with other Pillows: every release that pyproject.toml allows, and the last that Python 3.10 got.

An archive runs on hosts that are not installed by us, so an older Pillow may decode there; the worker takes the
exact way with it, since before 13 the fast one could corrupt memory.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
import venv
from pathlib import Path
from typing import Annotated

import typer
from packaging.requirements import Requirement
from packaging.version import Version

REPOSITORY = Path(__file__).parents[2]
OLDER = ["12.3.0"]


def allowed() -> list[str]:
    """Every release that pyproject.toml allows for this Python, oldest first."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    (wanted,) = (one for one in map(Requirement, project["dependencies"]) if one.name == "pillow")
    listed = subprocess.check_output([sys.executable, "-m", "pip", "index", "versions", "pillow"], text=True)
    there = re.search(r"^Available versions: (.*)$", listed, re.MULTILINE)
    assert there is not None, listed
    return sorted(wanted.specifier.filter(there[1].split(", ")), key=Version)


def environment(folder: Path, version: str) -> Path:
    """The interpreter of an environment that is this one but for its Pillow."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    (packages,) = (folder / "lib").glob("python*/site-packages")
    install = ["install", "--quiet", "--no-deps", "--only-binary=:all:", "--target", str(packages)]
    subprocess.check_call([sys.executable, "-m", "pip", *install, f"pillow=={version}"])
    # What is here comes after what was just installed.
    (packages / "rest.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    return python


def main(
    versions: Annotated[list[str] | None, typer.Argument(help="Releases of Pillow.")] = None,
    count: Annotated[int, typer.Option("--requests", help="How many to try with each.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Another seed tries others.")] = 0,
) -> None:
    """Fuzz a server with each Pillow in turn; exit with 1 if the contract was broken with any."""
    failed = []
    for version in versions or [*OLDER, *allowed()]:
        with tempfile.TemporaryDirectory(prefix="visionserve-pillow-") as folder:
            python = environment(Path(folder), version)
            fuzz = [str(python), "-m", "tests.fuzzing", "--requests", str(count), "--seed", str(seed)]
            if subprocess.call(fuzz, cwd=REPOSITORY):
                failed.append(version)
    if failed:
        typer.echo(f"broken with Pillow {', '.join(failed)}", err=True)
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
