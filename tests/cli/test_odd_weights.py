"""Weights, names and values that nobody means: one line each, and never a traceback."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import torch
import torchvision

from visionserve.archiver.models import catalog

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run


def state_dict() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return dict(torchvision.models.squeezenet1_1(num_classes=3).state_dict())


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "birds.pth"
    torch.save(state_dict(), path)
    return path


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--architecture", ":"], "architecture ':' is not of the form 'package.module:function'"),
        (["--architecture", ".m:f"], "architecture '.m:f' is not of the form"),
        (["--architecture", "a:b:c"], "architecture 'a:b:c' is not of the form"),
        (["--mean", "nan,0,0"], "input.mean is [nan, 0.0, 0.0]: every value must be a finite number"),
        (["--std", "1e400,1,1"], "input.std is [inf, 1.0, 1.0]: every value must be a finite number"),
        (["--mean", "123.7,116.3,103.5"], "it is subtracted from pixels scaled to [0, 1]; divide by 255"),
        (["--crop", "1"], "squeezenet1_1 fails on pictures of 1x1: "),
    ],
)
def test_a_value_that_makes_no_sense(
    options: list[str], message: str, weights: Path, tmp_path: Path, visionserve: Run
) -> None:
    done = visionserve("serve", weights, *options, "--root", tmp_path)
    assert done.code == 1
    assert message in done.err.replace("\n", " ")
    assert last_line(done.err).startswith("error: ")


def test_weights_of_whole_numbers(tmp_path: Path, visionserve: Run) -> None:
    path = tmp_path / "int8.pth"
    torch.save({name: tensor.to(torch.int8) for name, tensor in state_dict().items()}, path)
    done = visionserve("serve", path, "--root", tmp_path)
    assert done.code == 1
    assert "'features.0.weight' is int8, where the network has fractions" in last_line(done.err)


def test_a_head_without_classes(tmp_path: Path, visionserve: Run) -> None:
    path = tmp_path / "none.pth"
    none = {name: t[:0] if name.startswith("classifier.1.") else t for name, t in state_dict().items()}
    torch.save(none, path)
    done = visionserve("serve", path, "--root", tmp_path)
    assert done.code == 1
    assert f"{path}: its head has no classes" in done.err


def test_a_link_in_a_circle(tmp_path: Path, visionserve: Run) -> None:
    path = tmp_path / "loop.pth"
    path.symlink_to(path)
    assert visionserve("serve", path, "--root", tmp_path).code == 1


def test_a_name_that_is_no_utf8(tmp_path: Path, visionserve: Run) -> None:
    path = tmp_path / os.fsdecode(b"bad\xff.pth")
    path.write_bytes(b"PK\x03\x04")
    done = visionserve("init", path, "--root", tmp_path)
    assert done.code == 1
    assert "this name is no UTF-8; rename the file" in done.err


def test_a_name_of_several_lines_is_one_comment(weights: Path, tmp_path: Path, visionserve: Run) -> None:
    path = tmp_path / "new\nline: x.pth"
    path.write_bytes(weights.read_bytes())
    assert visionserve("init", path, "--root", tmp_path).code == 0
    assert catalog.read(tmp_path / "models" / "new-line-x.yaml").handler.architecture == "squeezenet1_1"


def test_a_model_that_is_described_already_is_told_before_its_weights_are_read(
    weights: Path, tmp_path: Path, visionserve: Run
) -> None:
    assert visionserve("init", weights, "--root", tmp_path).code == 0
    again = visionserve("init", weights, "--root", tmp_path)
    assert again.code == 1
    assert "is there already; --force replaces it" in again.err
    assert "taken for granted" not in again.err


def test_a_description_is_never_passed_over(weights: Path, tmp_path: Path, visionserve: Run) -> None:
    assert visionserve("init", weights, "--root", tmp_path).code == 0
    done = visionserve("serve", weights, "--root", tmp_path)
    assert done.code == 1
    assert "models/birds.yaml describes birds: 'visionserve serve birds' serves it" in done.err


def test_nothing_is_built_beside_a_name_that_is_none(weights: Path, tmp_path: Path, visionserve: Run) -> None:
    done = visionserve("serve", weights, "nothing", "--root", tmp_path)
    assert done.code == 1
    assert "'nothing' is no file" in done.err
    assert not (tmp_path / "model_store").exists()


def test_options_of_weights_without_weights_are_refused(tmp_path: Path, visionserve: Run) -> None:
    done = visionserve("serve", "--resize", "3", "--root", tmp_path)
    assert done.code == 2
    assert "options about weights need a target" in done.err
