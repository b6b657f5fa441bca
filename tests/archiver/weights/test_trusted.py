"""Nothing in a weights file is run, unless its user says that it is trusted; then it runs elsewhere."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import types
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torchvision
from torch import nn

from visionserve.archiver.errors import UntrustedPickle
from visionserve.archiver.weights import checkpoints
from visionserve.runtime.errors import WeightsError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(0)
    return torchvision.models.shufflenet_v2_x0_5(num_classes=4).eval()  # type: ignore[no-any-return]


class CreatesFile:
    """Unpickled, it creates a file: what a hostile checkpoint would do with any command."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return os.mkdir, (str(self.path),)


class TellsItsProcess(CreatesFile):
    """Unpickled, it writes down by which process."""

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return exec, (f"import os; open({str(self.path)!r}, 'x').write(str(os.getpid()))",)


@pytest.mark.parametrize("legacy", [False, True])
def test_whole_model_is_refused_with_its_classes_and_two_ways_on(
    legacy: bool, net: nn.Module, tmp_path: Path
) -> None:
    path = tmp_path / "model.pth"
    torch.save(net, path, _use_new_zipfile_serialization=not legacy)

    with pytest.raises(UntrustedPickle) as caught:
        checkpoints.read(path)

    message = str(caught.value)
    assert "torchvision.models.shufflenetv2.ShuffleNetV2" in message
    assert "torch.save(model.state_dict(), FILE)" in message
    assert "--trust-pickle" in message
    assert "\n" not in message


@pytest.mark.parametrize("how", ["zip", "legacy", "pickle", "inside a checkpoint"])
def test_code_in_a_file_never_runs(how: str, tmp_path: Path) -> None:
    path, trace = tmp_path / "model.pth", tmp_path / "trace"
    hostile: Any = CreatesFile(trace)
    if how == "pickle":
        path.write_bytes(pickle.dumps(hostile))
    elif how == "inside a checkpoint":
        torch.save({"state_dict": {"weight": torch.ones(2)}, "args": hostile}, path)
    else:
        torch.save(hostile, path, _use_new_zipfile_serialization=how == "zip")

    with pytest.raises(UntrustedPickle, match=r"wants (posix|nt)\.mkdir"):
        checkpoints.read(path)

    assert not trace.exists()


def test_trust_runs_the_code_elsewhere_and_keeps_only_tensors(tmp_path: Path) -> None:
    path, trace = tmp_path / "model.pth", tmp_path / "trace"
    torch.save({"state_dict": {"weight": torch.ones(2)}, "epoch": 4, "args": TellsItsProcess(trace)}, path)

    checkpoint = checkpoints.read(path, trust_pickle=True)

    assert int(trace.read_text()) != os.getpid()
    assert checkpoint.trusted
    assert checkpoint.facts == {"epoch": 4}
    assert list(checkpoint.state_dict) == ["weight"]


def test_trust_names_a_class_that_cannot_be_imported(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    notebook = types.ModuleType("lost_notebook")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "lost_notebook", notebook)
        exec("class Net: pass", vars(notebook))  # a class whose module is gone when the file is read
        torch.save({"net": notebook.Net()}, path)

    with pytest.raises(UntrustedPickle, match=r"it wants lost_notebook\.Net\."):
        checkpoints.read(path)
    with pytest.raises(WeightsError, match=r"unpickling failed: .*No module named 'lost_notebook'"):
        checkpoints.read(path, trust_pickle=True)


def test_trust_without_a_temporary_folder_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.pth"
    torch.save({"weight": torch.ones(2), "args": CreatesFile(tmp_path / "trace")}, path)
    monkeypatch.setattr(tempfile, "tempdir", str(path))  # a file in place of the folder

    with pytest.raises(WeightsError, match=r"model\.pth: unpickling failed: .*Not a directory"):
        checkpoints.read(path, trust_pickle=True)


def test_torchscript_code_never_runs(tmp_path: Path) -> None:
    """`torch.jit.load` runs `__setstate__`, and TorchScript can create files; the reader must not."""
    trace = tmp_path / "trace"
    path = tmp_path / "module.pt"
    source = tmp_path / "hostile.py"
    source.write_text(
        "import torch\n"
        "class Hostile(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.weight = torch.nn.Parameter(torch.ones(2))\n"
        "    @torch.jit.export\n"
        "    def __getstate__(self):\n"
        "        return (self.weight, self.training)\n"
        "    @torch.jit.export\n"
        "    def __setstate__(self, state: tuple[torch.Tensor, bool]):\n"
        f"        self.weight = state[0] + torch.from_file({str(trace)!r}, True, 2)\n"
        "        self.training = state[1]\n"
        "    def forward(self, x: torch.Tensor) -> torch.Tensor:\n"
        "        return x * self.weight\n"
        f"torch.jit.script(Hostile()).save({str(path)!r})\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", str(source)], check=True)
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"import torch; torch.jit.load({str(path)!r})"], check=True
    )
    assert trace.exists()  # loading it the usual way does run the code
    trace.unlink()

    with pytest.raises(WeightsError, match="packs its own state"):
        checkpoints.read(path)

    assert not trace.exists()
