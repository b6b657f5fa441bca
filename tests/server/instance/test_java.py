"""Which flags Java gets."""

from __future__ import annotations

import pytest

from visionserve.runtime.machine import cores
from visionserve.server.instance import java


@pytest.mark.parametrize(("available", "frugal"), [(1, True), (2, True), (3, False)])
def test_java_leaves_few_cores_to_the_network(
    available: int, frugal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "available", lambda: available)
    flags = " ".join(java.flags(java.find()))
    assert ("common.parallelism=2" in flags) == frugal
    assert ("TieredStopAtLevel=1" in flags) == frugal
