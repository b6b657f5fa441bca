"""`visionserve engines`, with real engines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.support import quick

from visionserve.archiver.engines import variants
from visionserve.runtime.engines.loading import Way

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run


@pytest.mark.slow
def test_engines_are_shown_with_what_they_cost(
    visionserve: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = quick.project(tmp_path)
    (root / "model_store").mkdir()
    quick.build(root, "quick")
    monkeypatch.setattr(variants, "WAYS", (Way("eager", "fp32"), Way("ncnn", "fp32")))
    words = ("engines", "quick", "--root", root, "--seconds", 0.01, "--threads", 2)
    told = visionserve(*words, "--batch", 2, "--batch", 1)
    assert told.code in (None, 0)
    for part in ("alone", "by 2", "ncnn fp32", "eager fp32", "6/6", "±"):
        assert part in told.out
    assert max(map(len, told.out.splitlines()[1:6])) <= 80
    assert "quick.mar: resnet18 at 64 pixels, 2 threads; 0.15 billion multiplications, 83% of them" in told.out
    told = visionserve(*words, "--json")
    assert told.code in (None, 0), told.err
    document = json.loads(told.out)
    assert {each["way"] for each in document["measured"]} == {"eager in fp32", "ncnn in fp32"}
    assert set(document["measured"][0]["rates"]) == {"1", "4", "8"}


def test_a_model_that_is_not_built_is_one_line(visionserve: Run, tmp_path: Path) -> None:
    told = visionserve("engines", "flowers", "--root", tmp_path)
    assert told.code == 1
    assert "flowers" in told.err
    assert len(told.err.splitlines()) == 1
