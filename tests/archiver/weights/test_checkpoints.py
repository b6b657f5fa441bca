"""One reader for every form; what cannot be read is refused in one line, and no file ever runs."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest
import torch
import torchvision
from tests.archiver.conftest import Form, save_scripted
from torch import nn

from visionserve.archiver.models.spec import HandlerSpec
from visionserve.archiver.weights import checkpoints, lookup
from visionserve.runtime.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(0)
    return torchvision.models.shufflenet_v2_x0_5(num_classes=4).eval()  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def saved(net: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "weights.pth"
    torch.save(net.state_dict(), path)
    return path


def test_every_form_gives_the_same_tensors(form: Form, net: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / form.file
    form.save(net, path)

    checkpoint = checkpoints.read(path, form.key, trust_pickle=form.trust)

    assert checkpoint.is_plain == form.plain
    wanted = net.state_dict()
    assert set(checkpoint.state_dict) == set(wanted)
    clean = checkpoint.float32()
    for name, tensor in wanted.items():
        as_stored = tensor.to(form.dtype) if tensor.is_floating_point() else tensor
        assert torch.equal(checkpoint.state_dict[name], as_stored), name
        assert torch.equal(clean[name], as_stored.to(tensor.dtype)), name
        assert clean[name].device.type == "cpu"


def test_facts_of_a_training_checkpoint(net: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "model_best.pth.tar"
    stored = {f"module.{name}": tensor.half() for name, tensor in net.state_dict().items() if tensor.dim()}
    torch.save({"epoch": 7, "best_acc1": torch.tensor(75.5), "arch": "net\nx", "state_dict": stored}, path)

    checkpoint = checkpoints.read(path)

    assert (checkpoint.format, checkpoint.key, checkpoint.prefix) == ("torch.save (zip)", "state_dict", "module.")
    assert checkpoint.facts == {"epoch": 7, "best_acc1": 75.5, "arch": "net\\nx"}
    assert checkpoint.dtypes == {"float16": len(stored)}
    assert checkpoint.parameters == sum(parameter.numel() for parameter in net.parameters())
    assert not checkpoint.is_plain


def test_prefix_stays_when_one_key_lacks_it(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"module.a": torch.ones(1), "b": torch.ones(1)}, path)

    assert list(checkpoints.read(path).state_dict) == ["module.a", "b"]


def test_averaged_weights_are_taken_only_when_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"model_ema": {"a": torch.ones(1)}, "epoch": 3}, path)

    with pytest.raises(WeightsError, match=r"only averaged weights, at 'model_ema'"):
        checkpoints.read(path)
    assert torch.equal(checkpoints.read(path, "model_ema").state_dict["a"], torch.ones(1))


def test_two_unnamed_state_dicts_are_a_question(tmp_path: Path) -> None:
    path = tmp_path / "gan.pth"
    torch.save({"generator": {"a": torch.ones(1)}, "critic": {"a": torch.zeros(1)}}, path)

    with pytest.raises(WeightsError, match=r"2 state dicts, at 'critic', 'generator'"):
        checkpoints.read(path)
    assert checkpoints.read(path, "critic").state_dict["a"].item() == 0
    with pytest.raises(WeightsError, match=r"no state dict at 'model'; there are 'generator', 'critic'"):
        checkpoints.read(path, "model")


def write_state_dict(path: Path) -> None:
    torch.save({"weight": torch.arange(1000.0)}, path)


def write_truncated(path: Path) -> None:
    write_state_dict(path)
    path.write_bytes(path.read_bytes()[:-500])


def write_truncated_legacy(path: Path) -> None:
    torch.save({"weight": torch.arange(1000.0)}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-500])


def write_nan(path: Path) -> None:
    torch.save({"fine": torch.ones(3), "fc.weight": torch.tensor([1.0, float("nan")])}, path)


def write_infinite_half(path: Path) -> None:
    torch.save({"fc.weight": torch.tensor([1.0, float("inf")]).half()}, path)


def write_too_large_for_float32(path: Path) -> None:
    torch.save({"fc.weight": torch.tensor([1e300], dtype=torch.float64)}, path)


def write_expanded(path: Path) -> None:
    torch.save({"fc.weight": torch.ones(1).expand(1 << 40)}, path)


def write_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/readme.txt", "hello")


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), r"is empty \(0 bytes\)"),
    "truncated": (write_truncated, r"truncated or damaged zip file \(\d+ bytes\); copy or download it again"),
    "truncated legacy": (write_truncated_legacy, r"damaged torch\.save \(legacy\) file"),
    "a web page": (
        lambda path: path.write_text("<!DOCTYPE html><title>404</title>"),
        r"web page.*download the file",
    ),
    "text": (lambda path: path.write_text("learning rate 0.1\n" * 9), r"is no checkpoint: it begins with b'learn"),
    "git lfs": (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"), r"git lfs pull"),
    "gzip": (lambda path: path.write_bytes(b"\x1f\x8b\x08rest"), r"gunzip"),
    "tar": (lambda path: path.write_bytes(b"a" * 257 + b"ustar\x0000"), r"tar archive; unpack it"),
    "another zip": (write_zip, r"zip file that torch\.save did not write: it has no data\.pkl"),
    "a directory": (lambda path: path.mkdir(), r"is a directory; name the weights file inside it"),
    "missing": (lambda path: None, r"cannot be read: No such file or directory"),
    "a list": (lambda path: torch.save([torch.ones(1)], path), r"holds a list, not a state dict"),
    "a tensor": (lambda path: torch.save(torch.ones(1), path), r"holds a Tensor, not a state dict"),
    "no tensors": (lambda path: torch.save({"epoch": 1}, path), r"no state dict of tensors; its keys are epoch"),
    "frozen TorchScript": (
        lambda path: save_scripted(nn.Linear(2, 2), path, frozen=True),
        r"TorchScript module that is frozen",
    ),
    "NaN": (write_nan, r"'fc\.weight' holds NaN or infinite values"),
    "infinity in fp16": (write_infinite_half, r"'fc\.weight' holds NaN or infinite values"),
    "more than float32 holds": (write_too_large_for_float32, r"'fc\.weight' holds NaN or infinite values"),
    "complex": (lambda path: torch.save({"a": torch.ones(1, dtype=torch.cfloat)}, path), r"'a' is complex64"),
    "sparse": (lambda path: torch.save({"a": torch.eye(2).to_sparse()}, path), r"'a' is sparse_coo"),
    "a trillion values in 4 bytes": (write_expanded, r"claims 1099511627776 values, more than the file stores"),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_bad_file_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    write, message = BAD[name]
    path = tmp_path / "weights.pth"
    write(path)

    with pytest.raises(WeightsError, match=message) as caught:
        checkpoints.read(path).float32()

    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.name != "posix", reason="permissions are others elsewhere")
def test_unreadable_permissions(saved: Path) -> None:
    user = os.geteuid()
    saved.parent.chmod(0)
    if user == 0:
        os.seteuid(65534)  # root reads everything; nobody does not
    try:
        with pytest.raises(WeightsError, match="cannot be read: Permission denied"):
            checkpoints.read(saved)
        with pytest.raises(WeightsError, match="cannot be read: Permission denied"):
            lookup.find(saved.parent, "net", HandlerSpec(architecture="resnet18"), saved)
    finally:
        os.seteuid(user)
        saved.parent.chmod(0o755)


GROWTH = """
import sys
from pathlib import Path
from visionserve.archiver.weights import checkpoints, lookup

def memory(line):
    # From /proc, for a process's ru_maxrss starts at what its parent had.
    return next(int(row.split()[1]) * 1024 for row in open("/proc/self/status") if row.startswith(line))

before = memory("VmRSS:")
state_dict = checkpoints.read(Path(sys.argv[1])).float32()
print(sum(tensor.numel() for tensor in state_dict.values()), memory("VmHWM:") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize("legacy", [False, True])
def test_reading_vgg16_takes_its_weights_once(legacy: bool, tmp_path: Path) -> None:
    path = tmp_path / "vgg16.pth"
    with torch.device("meta"):
        net = torchvision.models.vgg16()
    state_dict = {name: torch.zeros(tensor.shape) for name, tensor in net.state_dict().items()}
    torch.save(state_dict, path, _use_new_zipfile_serialization=not legacy)
    assert path.stat().st_size > 527 << 20

    done = subprocess.run([sys.executable, "-c", GROWTH, str(path)], capture_output=True, text=True, check=True)

    values, growth = map(int, done.stdout.split())
    assert values == 138_357_544
    # What torch itself takes, 0.7 to 0.9 GB, is the machine's affair and not counted.
    assert growth < 1.2 * path.stat().st_size
