"""make rebuilds what changed, and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from visionserve.archiver.builder import Built

TARGET = "model_store/demo-resnet18.mar"


@pytest.fixture(scope="module")
def checkout(project: Path, demo_archives: dict[str, Built], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository's Makefile over files that may be touched, and an environment that is already there."""
    root = tmp_path_factory.mktemp("checkout")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (root / name).symlink_to(REPOSITORY / name)
    for folder in ("models", "handlers", "src"):
        for path in (REPOSITORY / folder).rglob("*"):
            if path.is_file() and path.suffix in (".py", ".yaml", ".txt"):
                copy = root / path.relative_to(REPOSITORY)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(path.read_bytes())
                os.utime(copy, (0, 0))
    model = "models/demo/demo-resnet18.yaml"
    (root / model).write_bytes((project / model).read_bytes())
    os.utime(root / model, (0, 0))
    (root / "weights").mkdir()
    shutil.copy(project / "weights" / "demo-resnet18.pth", root / "weights" / "demo-resnet18.pth")
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / ".installed").touch()
    (root / ".venv" / "bin" / "visionserve").write_text(f'#!/bin/sh\nexec {sys.executable} -m visionserve "$@"\n')
    (root / ".venv" / "bin" / "visionserve").chmod(0o755)
    make(root, "archive", "MODEL=demo-resnet18")
    return root


def run(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """As from a shell: what the `make` that runs these tests tells its own children is left out."""
    shell = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    return subprocess.run(["make", *words], cwd=root, env=shell, capture_output=True, text=True, check=False)


def make(root: Path, *words: str) -> str:
    done = run(root, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_weights_file_is_no_model(checkout: Path) -> None:
    done = run(checkout, "archive", "MODEL=flowers.pth")
    assert done.returncode == 2
    assert "there is no models/flowers.pth.yaml" in done.stdout
    assert "make serve MODEL=FILE, or visionserve init FILE" in done.stdout


def test_what_is_served_needs_no_name(checkout: Path) -> None:
    printed = make(checkout, "--dry-run", "loadtest")
    assert printed.split() == [".venv/bin/visionserve", "load", "run", "--users", "8", "--duration", "30s"]


def would_build(root: Path) -> set[str]:
    printed = make(root, "--dry-run", "archive", "MODEL=demo-resnet18")
    return set(re.findall(r"visionserve (\w+) ", printed))


def touch(path: Path, newer_than: Path) -> None:
    later = newer_than.stat().st_mtime + 10
    os.utime(path, (later, later))


def test_a_second_run_builds_nothing(checkout: Path) -> None:
    assert (checkout / TARGET).is_file()
    assert would_build(checkout) == set()


@pytest.mark.parametrize(
    "changed",
    [
        "models/demo/demo-resnet18.yaml",
        "models/demo/colours.txt",
        "handlers/image_classifier.py",
        "src/visionserve/runtime/pictures/decode.py",
        "src/visionserve/runtime/engines/eager.py",
        "weights/demo-resnet18.pth",
    ],
)
def test_what_an_archive_carries_rebuilds_it(changed: str, checkout: Path) -> None:
    path = checkout / changed
    before = path.stat().st_mtime
    touch(path, checkout / TARGET)
    try:
        assert "archive" in would_build(checkout)
    finally:
        os.utime(path, (before, before))


@pytest.mark.parametrize("unrelated", ["models/vgg16.yaml", "src/visionserve/client.py"])
def test_what_it_does_not_carry_does_not(unrelated: str, checkout: Path) -> None:
    touch(checkout / unrelated, checkout / TARGET)
    assert would_build(checkout) == set()


def test_archive_comes_before_serve_however_many_jobs(checkout: Path) -> None:
    """`visionserve` is replaced by one that takes its time over an archive and writes down the order."""
    command = checkout / ".venv" / "bin" / "visionserve"
    before = command.read_text()
    log = checkout / "order.txt"
    command.write_text(f'#!/bin/sh\ntest "$1" = serve || sleep 0.3\necho "$@" >> {log}\n')
    try:
        make(checkout, "--jobs=4", "weights", "archive", "serve", "MODEL=resnet50 vgg16", "TRUST_PICKLE=1")
    finally:
        command.write_text(before)
    done = log.read_text().splitlines()
    assert done[0] == "weights resnet50 vgg16"
    assert sorted(done[1:3]) == [f"archive --make-rules --trust-pickle {name}" for name in ("resnet50", "vgg16")]
    assert done[3:] == ["serve --trust-pickle resnet50 vgg16"]


@pytest.mark.parametrize(
    ("given", "trusted"), [("1", True), ("yes", True), ("0", False), ("no", False), ("", False)]
)
def test_no_is_no_trust(given: str, trusted: bool, checkout: Path) -> None:
    printed = make(checkout, "--dry-run", "serve", "MODEL=x.pth", f"TRUST_PICKLE={given}")
    assert ("--trust-pickle" in printed) is trusted


def test_a_users_environment_has_no_test_tools(checkout: Path) -> None:
    def installs(verb: str) -> str:
        return "\n".join(line for line in make(checkout, "--dry-run", verb).splitlines() if "pip install" in line)

    assert "--group" not in installs("serve")
    for verb in ("test", "lint", "benchmark"):
        assert f"--group {verb}" in installs(verb)


def test_make_alone_lists_every_verb() -> None:
    listed = set(re.findall(r"^  make ([a-z-]+)", make(REPOSITORY), flags=re.MULTILINE))
    assert {"install", "weights", "archive", "serve", "stop", "status", "predict", "loadtest"} <= listed
    assert {"loadtest-ui", "demo", "test", "lint", "clean"} <= listed


def test_make_knows_every_verb_of_the_readme(checkout: Path) -> None:
    told = re.findall(r"`make ([a-z-]+)|^\$ make ([a-z- ]+)", (REPOSITORY / "README.md").read_text(), re.MULTILINE)
    verbs = {verb for pair in told for words in pair for verb in words.split()}
    assert {"demo", "weights", "archive", "predict", "benchmark"} <= verbs
    listed = set(re.findall(r"^  make ([a-z-]+)", make(checkout), re.MULTILINE))
    assert verbs <= listed


def test_predicting_nothing_names_what_is_missing(checkout: Path) -> None:
    done = run(checkout, "predict")
    assert done.returncode != 0
    assert "make predict IMAGE=photo.jpg" in done.stdout
    assert "visionserve predict" in make(checkout, "--dry-run", "predict")


def test_a_demo_whose_photographs_cannot_be_installed_goes_on_without(tmp_path: Path) -> None:
    (tmp_path / "Makefile").symlink_to(REPOSITORY / "Makefile")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for name in ("pyproject.toml", "constraints.txt", ".venv/.installed"):
        (tmp_path / name).touch()
    for name, script in (("python", "exit 1"), ("visionserve", 'echo "visionserve $@"')):
        stub = tmp_path / ".venv" / "bin" / name
        stub.write_text(f"#!/bin/sh\n{script}\n")
        stub.chmod(0o755)
    assert "visionserve demo" in make(tmp_path, "demo").splitlines()
    assert not (tmp_path / ".venv" / ".demo").exists()
