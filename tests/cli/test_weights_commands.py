"""`visionserve inspect`, `summary` and `convert`, as a user calls them."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest
import torch
import torchvision

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "model_best.pth.tar"
    net = torchvision.models.shufflenet_v2_x0_5(num_classes=4)
    state_dict = {f"module.{name}": tensor for name, tensor in net.state_dict().items()}
    torch.save({"epoch": 12, "best_acc1": torch.tensor(75.5), "state_dict": state_dict}, path)
    return path


def test_inspect_says_what_the_file_is(checkpoint: Path, visionserve: Run) -> None:
    done = visionserve("inspect", checkpoint, "--json")

    assert done.code == 0, done.err
    net = torchvision.models.shufflenet_v2_x0_5(num_classes=4)
    assert json.loads(done.out) == {
        "path": str(checkpoint),
        "size": checkpoint.stat().st_size,
        "sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
        "format": "torch.save (zip)",
        "unpickled": False,
        "key": "state_dict",
        "prefix": "module.",
        "facts": {"epoch": 12, "best_acc1": 75.5},
        "tensors": len(net.state_dict()),
        "dtypes": {"float32": 282, "int64": 56},
        "parameters": sum(parameter.numel() for parameter in net.parameters()),
        "architectures": [{"architecture": "shufflenet_v2_x0_5", "classes": 4}],
    }
    table = visionserve("inspect", checkpoint).out
    for fact in (
        "torch.save (zip)",
        "'state_dict'",
        "'module.', removed",
        "epoch",
        "12",
        "shufflenet_v2_x0_5, 4 classes",
    ):
        assert fact in table


def test_summary_as_table_and_json(checkpoint: Path, tmp_path: Path, visionserve: Run) -> None:
    arguments = (
        "summary",
        "shufflenet_v2_x0_5",
        "--weights",
        checkpoint,
        "--input",
        "3x640x480",
        "--root",
        tmp_path,
    )
    done = visionserve(*arguments, "--json")

    assert done.code == 0, done.err
    document = json.loads(done.out)
    assert (document["classes"], document["input"]) == (4, [3, 640, 480])
    assert document["layers"][1] == {
        "name": "conv1",
        "kind": "Sequential",
        "depth": 1,
        "output": [1, 24, 320, 240],
        "parameters": 24 * 27 + 48,
        "multiply_adds": 24 * 27 * 320 * 240,
    }
    table = visionserve(*arguments, "--depth", 1).out
    assert "4 classes, from" in table
    assert "1x24x320x240" in table


def test_convert_writes_a_clean_file(checkpoint: Path, tmp_path: Path, visionserve: Run) -> None:
    done = visionserve("convert", checkpoint, tmp_path / "net.safetensors", "--digest")

    assert done.code == 0, done.err
    (written,) = tmp_path.iterdir()
    assert written.name == f"net-{hashlib.sha256(written.read_bytes()).hexdigest()[:8]}.safetensors"
    assert str(written) in done.out
    read = json.loads(visionserve("inspect", written, "--json").out)
    assert (read["format"], read["key"], read["prefix"]) == ("safetensors", "", "")


@pytest.mark.parametrize("command", ["inspect", "convert"])
def test_a_bad_file_is_one_line_exit_code_1_and_nothing_written(
    command: str, tmp_path: Path, visionserve: Run
) -> None:
    bad = tmp_path / "bad.pth"
    bad.write_text("<html>404 Not Found</html>")

    done = visionserve(command, bad, *([tmp_path / "net.pth"] if command == "convert" else []))

    assert done.code == 1
    assert done.out == ""
    assert "web page" in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == [bad]


def test_convert_never_replaces_what_it_reads(checkpoint: Path, visionserve: Run) -> None:
    before = checkpoint.read_bytes()
    source = checkpoint.with_name("net.pth")
    source.write_bytes(before)
    done = visionserve("convert", source, source.parent / "." / source.name)
    assert done.code == 1
    assert "is the file that is read" in done.err
    assert source.read_bytes() == before


def test_whole_model_names_the_way_on_and_takes_it(tmp_path: Path, visionserve: Run) -> None:
    path = tmp_path / "model.pth"
    torch.save(torchvision.models.squeezenet1_1(num_classes=2), path)

    refused = visionserve("convert", path, tmp_path / "net.pth")
    assert refused.code == 1
    assert "--trust-pickle" in refused.err
    assert not (tmp_path / "net.pth").exists()
    assert visionserve("convert", path, tmp_path / "net.pth", "--trust-pickle").code == 0
    assert len(torch.load(tmp_path / "net.pth", weights_only=True)) == 52


def test_summary_of_a_class_count_without_weights(tmp_path: Path, visionserve: Run) -> None:
    arguments = ("summary", "squeezenet1_1", "--classes", 7, "--input", "3x640x640", "--root", tmp_path)
    done = visionserve(*arguments)
    assert done.code == 0, done.err
    assert "7 classes, from --classes;" in done.out
    assert "1x7" in done.out
    assert visionserve("summary", "squeezenet1_1", "--classes", 0, "--root", tmp_path).code == 2


@pytest.mark.parametrize("target", ["folder.pth", "file/net.pth"])
def test_a_target_that_cannot_be_written_is_one_line(
    target: str, checkpoint: Path, tmp_path: Path, visionserve: Run
) -> None:
    (tmp_path / "folder.pth").mkdir()
    (tmp_path / "file").write_text("no folder")

    done = visionserve("convert", checkpoint, tmp_path / target)

    assert (done.code, len(done.err.strip().splitlines())) == (1, 1)
    assert f"{tmp_path / target}: cannot be written: " in done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.pth"]


@pytest.mark.parametrize("size", ["3x640", "3x0x640", "3xax640", "3x640x" + "9" * 5000], ids=len)
def test_an_impossible_input_size_says_how_to_write_one(size: str, tmp_path: Path, visionserve: Run) -> None:
    done = visionserve("summary", "squeezenet1_1", "--input", size, "--root", tmp_path)
    assert done.code == 2
    assert "is no input size" in done.err
    assert "3x640x640" in done.err
