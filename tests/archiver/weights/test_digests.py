"""A file is the one that its name or the model's YAML says."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from visionserve.archiver.weights import digests
from visionserve.runtime.errors import WeightsError

if TYPE_CHECKING:
    from pathlib import Path


def test_digest_in_the_name_is_verified_before_the_file_is_opened(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"weights").hexdigest()
    right, wrong = tmp_path / f"net-{digest[:8]}.pth", tmp_path / "net-00000000.pth.tar"
    right.write_bytes(b"weights")
    wrong.write_bytes(b"weights")

    assert digests.verify(right) == digest
    with pytest.raises(
        WeightsError, match=rf"SHA-256 is {digest}, its name says 00000000\.\.\.; .* rename the file"
    ):
        digests.verify(wrong)


def test_digest_in_the_yaml_is_verified(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"weights").hexdigest()
    path = tmp_path / "net-20261124.pth"  # a date, no digest: the YAML's word counts
    path.write_bytes(b"weights")

    assert digests.verify(path, digest) == digest
    with pytest.raises(WeightsError, match=rf"SHA-256 is {digest}, the model's YAML says {'0' * 64}"):
        digests.verify(path, "0" * 64)
