"""What the options of `serve` and `init` say of a weights file reaches the archiver as it was said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from visionserve.archiver import resolution
from visionserve.archiver.assumptions import Stated
from visionserve.archiver.models.spec import InputChanges
from visionserve.runtime.errors import SpecError

if TYPE_CHECKING:
    from tests.cli.conftest import Run


def test_every_option_is_taken(tmp_path: Path, visionserve: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[Any, ...]] = []

    def prepare(_project: object, targets: list[str], stated: Stated, *_: object, **named: object) -> None:
        taken.append((targets, stated, named))
        raise SpecError("taken")

    monkeypatch.setattr(resolution, "prepare", prepare)
    transform = ("--resize", 300, "--crop", 288, "--mean", "0.1,0.2,0.3", "--std", "0.4 0.5 0.6")
    rest = ("--architecture", "resnet18", "--name", "trees", "--labels", "trees.txt", "--key", "ema")
    done = visionserve("serve", "a.pth", *transform, *rest, "--trust-pickle", "--offline", cwd=tmp_path)
    assert (done.code, done.err) == (1, "error: taken\n")
    changes = InputChanges(resize=300, crop=288, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    stated = Stated(
        name="trees",
        architecture="resnet18",
        key="ema",
        labels=Path("trees.txt"),
        input=changes,
        trust_pickle=True,
    )
    assert taken == [(["a.pth"], stated, {"offline": True})]


@pytest.mark.parametrize("text", ["", "0.5", "0.5,0.5", "1,2,3,4", "red,green,blue"])
def test_a_colour_that_is_not_three_numbers_says_what_is(
    text: str, tmp_path: Path, visionserve: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    done = visionserve("serve", "a.pth", "--mean", text, cwd=tmp_path)
    assert done.code == 2
    assert "--mean 0.5,0.5,0.5" in done.err
