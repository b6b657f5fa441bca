"""Clean files: bit for bit the same tensors, byte for byte the same file."""

from __future__ import annotations

import hashlib
import resource
from typing import TYPE_CHECKING

import pytest
import torch
import torchvision
from tests.archiver.conftest import FORMS

from visionserve.archiver.weights import checkpoints, conversion, digests
from visionserve.runtime.errors import WeightsError

if TYPE_CHECKING:
    from pathlib import Path

TENSORS = {
    "half": torch.randn(3, 4).half(),
    "bfloat": torch.randn(5).bfloat16(),
    "double": torch.randn(2, dtype=torch.float64),
    "count": torch.tensor(7),
    "rows": torch.randn(1000, 10)[3:5],
    "view": torch.randn(100, 100)[3:5, ::2],
    "turned": torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last),
    "empty": torch.empty(0, 3),
    "negative zero": torch.tensor([-0.0, 0.0]),
}


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
def test_tensors_are_the_same_bit_for_bit(suffix: str, tmp_path: Path) -> None:
    path = conversion.write(TENSORS, tmp_path / f"weights{suffix}")

    read = checkpoints.read(path).state_dict

    assert set(read) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert read[name].dtype == tensor.dtype
        assert read[name].shape == tensor.shape
        assert (
            read[name].contiguous().numpy(force=True).tobytes() == tensor.contiguous().numpy(force=True).tobytes()
            if (tensor.dtype != torch.bfloat16)
            else torch.equal(read[name], tensor)
        )
    assert path.stat().st_size < 10_000  # the view brought only itself


@pytest.mark.parametrize(
    "name", ["training checkpoint", "safetensors", "TorchScript, traced", "saved on a GPU, legacy"]
)
def test_same_tensors_give_the_same_file_whatever_form_they_came_in(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = torchvision.models.squeezenet1_1(num_classes=3).eval()
    source = tmp_path / FORMS[name].file
    FORMS[name].save(net, source)
    read = checkpoints.read(source).state_dict

    first = conversion.write(net.state_dict(), tmp_path / "first.pth")
    second = conversion.write({key: read[key] for key in net.state_dict()}, tmp_path / "second.pth")

    assert first.read_bytes() == second.read_bytes()
    assert checkpoints.read(first).is_plain


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_digest_in_the_name_is_the_files_and_is_verified_ever_after(suffix: str, tmp_path: Path) -> None:
    path = conversion.write(TENSORS, tmp_path / f"net{suffix}", digest_in_name=True)

    assert path.name == f"net-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}{suffix}"
    digests.verify(path)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(WeightsError, match="it is damaged"):
        digests.verify(path)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("weights.bin", r"must end in \.pth, \.pt, \.safetensors"),
        ("none/weights.pth", r"cannot be written: No such file"),
    ],
)
def test_nothing_is_left_of_a_file_that_cannot_be_written(target: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=message):
        conversion.write(TENSORS, tmp_path / target)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_full_disk_is_one_line_and_leaves_nothing(suffix: str, tmp_path: Path) -> None:
    target = tmp_path / f"net{suffix}"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (10_000, hard)
    )  # the kernel refuses to write more, as on a full disk
    try:
        with pytest.raises(WeightsError, match=r"cannot be written: .*File too large") as refused:
            conversion.write({"weight": torch.zeros(10_000)}, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert len(str(refused.value).splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
