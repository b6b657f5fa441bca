"""Damaged weights files are read or refused, whatever the damage."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.archiver.conftest import save_scripted
from torch import nn

from visionserve.archiver.weights import checkpoints
from visionserve.runtime.errors import WeightsError

if TYPE_CHECKING:
    from pathlib import Path


DAMAGED = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def valid_files(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """One small file of each format, its tensors small so that damage hits its structure."""
    folder = tmp_path_factory.mktemp("valid")
    net = nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 2, 1), norm=nn.BatchNorm2d(2)))
    torch.save(net.state_dict(), folder / "a")
    torch.save({"epoch": 3, "state_dict": net.state_dict()}, folder / "b", _use_new_zipfile_serialization=False)
    torch.save(net, folder / "c")
    safetensors.torch.save_file(net.state_dict(), folder / "d")
    save_scripted(net, folder / "e")
    return [path.read_bytes() for path in sorted(folder.iterdir())]


@DAMAGED
@given(data=st.data())
def test_damage_is_read_or_refused_never_worse(
    data: st.DataObject, valid_files: list[bytes], tmp_path: Path
) -> None:
    whole = data.draw(st.sampled_from(valid_files))
    damaged = bytearray(whole[: data.draw(st.integers(0, len(whole)))] if data.draw(st.booleans()) else whole)
    for _ in range(data.draw(st.integers(0, 8)) if damaged else 0):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path / "weights.pth"
    path.write_bytes(damaged)

    try:
        checkpoint = checkpoints.read(path)
    except WeightsError as error:
        assert "\n" not in str(error)
        assert str(error).isprintable()
    else:
        assert sum(tensor.numel() for tensor in checkpoint.state_dict.values()) <= len(whole)


@DAMAGED
@given(junk=st.binary(max_size=400))
def test_any_bytes_behind_a_magic_number_are_refused(
    junk: bytes, valid_files: list[bytes], tmp_path: Path
) -> None:
    path = tmp_path / "weights.pth"
    for whole in valid_files:
        path.write_bytes(whole[:16] + junk)
        with pytest.raises(WeightsError):
            checkpoints.read(path)
