"""What the pages have people type is what `visionserve` and `make` take; nothing of it is run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest
import typer
from tests.conftest import REPOSITORY
from typer._click import ClickException, Command  # typer brings a click of its own
from typer.core import TyperGroup

from visionserve import cli

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
# Those that commands name, and that options want to be there.
FILES = ("rose.jpg", "photo.jpg", "flowers.pth", "flowers.txt", "release.key", "release.pub", "model.pth")
_SHELL = ("#", "$", "&&", "||", "|", ";")
_PROGRAM = re.compile(r"(?:\S*/)?(visionserve|make)$")


def blocks(page: Path) -> Iterator[str]:
    """Each line of a page's blocks of commands, without the prompt, continued lines as one."""
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        if language not in ("", "console", "sh"):
            continue
        for line in block.replace("\\\n", " ").splitlines():
            yield line.removeprefix("$ ").removeprefix("# ")


def commands(line: str) -> Iterator[list[str]]:
    """The commands of ours in a line, those that `su -c` runs too; what is after `#` is a comment."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|")
    lexer.whitespace_split, lexer.commenters = True, "#"
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word not in _SHELL:
            words.append(word)
            continue
        if words and _PROGRAM.match(words[0]):
            yield [words[0].rpartition("/")[2], *words[1:]]
        elif words[:1] == ["su"]:
            yield from commands(words[words.index("-c") + 1])
        elif words[:2] == ["podman", "exec"]:
            yield words[3:]
        words = []


def inline(page: Path) -> Iterator[str]:
    """Each command in a page's sentences and tables; `[...]` stands for what may be left out."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for code in re.findall(r"(?<!`)`((?:visionserve|make) [^`]+)`", text):
        yield re.sub(r" \[.*\]$", "", " ".join(code.split()))


def told(program: str) -> list[tuple[str, list[str]]]:
    """The pages' commands of a program, each with the page that has it."""
    return [
        (page.name, command)
        for page in PAGES
        for line in [*blocks(page), *inline(page)]
        if program in line and not re.search(r"\.\.\.|COMMAND", line)
        for command in commands(line)
        if command[0] == program
    ]


def parse(words: list[str]) -> None:
    """Have the real parser read a command's words; what it reads is not run. A verb alone may only be named."""
    command: Command = typer.main.get_command(cli.app)
    parent, name, named = None, "visionserve", len(words) == 1
    while True:
        context = command.make_context(name, list(words), parent, resilient_parsing=named and parent is not None)
        if not isinstance(command, TyperGroup) or (named and parent):
            return
        sub, found, words = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None and sub is not None
        command, parent, name = found, context, sub


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the pages' commands name."""
    for name in FILES:
        (tmp_path / name).touch()
    (tmp_path / "pictures").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_visionserve_takes_every_command_of_the_pages(folder: Path) -> None:
    found = told("visionserve")
    of_production = {tuple(words[1:2]) for page, words in found if page == "production.md"}
    assert of_production >= {("init",), ("archive",), ("reload",), ("serve",), ("status",), ("ready",), ("key",)}
    for page, (_, *words) in found:
        try:
            parse(words)
        except ClickException as error:
            pytest.fail(f"{page}: visionserve {shlex.join(words)}: {error.format_message()}")


@pytest.mark.parametrize("wrong", ["reload --key", "key ad NAME", "archives", "init --labels x"])
def test_a_command_that_is_none_is_found(wrong: str) -> None:
    with pytest.raises(ClickException):
        parse(wrong.split())


def test_make_has_every_target_of_the_pages() -> None:
    shell = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    found = {tuple(words) for _, words in told("make")}
    assert {("make", "container"), ("make", "weights", "archive", "MODEL=resnet50")} <= found
    for words in found:
        done = subprocess.run(
            ["make", "--dry-run", *words[1:]],
            cwd=REPOSITORY,
            env=shell,
            capture_output=True,
            text=True,
            check=False,
        )
        # Of what it does not know, a dry run only prints what would say so.
        assert done.returncode == 0 and "there is nothing to make" not in done.stdout, (words, done.stdout)
