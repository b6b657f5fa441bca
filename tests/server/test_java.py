"""Which flags Java gets."""

from __future__ import annotations

import pytest

from visionserve.runtime import cores
from visionserve.server import java


@pytest.mark.parametrize(("available", "told"), [(1, True), (2, True), (3, False)])
def test_java_is_told_to_pool_its_threads_where_it_would_start_one_a_batch(
    available: int, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "available", lambda: available)
    assert any("common.parallelism" in flag for flag in java.flags(java.find())) == told
