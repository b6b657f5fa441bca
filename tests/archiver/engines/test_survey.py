"""Every engine beside the others, in real processes."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from tests.support import quick
from tests.support.unpacked import source, unpacked

from visionserve.archiver.engines import peak, survey, turns, variants
from visionserve.archiver.engines.engine_process import EngineProcess
from visionserve.archiver.engines.turns import Figures, Rate
from visionserve.archiver.engines.variants import Variant
from visionserve.runtime.engines import openvino
from visionserve.runtime.engines.loading import Way
from visionserve.runtime.machine import processor

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

EAGER, OPENVINO, NCNN = Way("eager", "fp32"), Way("openvino", "fp32"), Way("ncnn", "fp32")


def steps(items: Sequence[Any], _doing: str = "") -> Iterator[Any]:
    yield from items


@pytest.fixture(scope="module")
def mar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive that brings no engine's graph."""
    root = quick.project(tmp_path_factory.mktemp("survey"))
    (root / "model_store").mkdir()
    return quick.build(root, "quick").archive.path


def test_engines_are_made_that_the_archive_does_not_bring(mar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variants, "WAYS", (EAGER, NCNN, OPENVINO))
    found = survey.make(mar, [1, 3], 0.01, steps, threads=1)
    assert [each.way for each in found.measured] == [EAGER, NCNN, OPENVINO]
    for each in found.measured:
        assert sorted(each.rates) == [1, 3]
        assert all(0 < rate.low <= rate.median <= rate.high for rate in each.rates.values())
        assert each.error < 1e-4
        assert each.same == each.of > 0
        assert each.memory > 50 << 20
        share = found.share(each)
        assert share is not None
        assert share > 0
    assert found.lacking == {}
    assert found.multiplications.share > 0.5
    document = json.loads(json.dumps(found.document()))
    assert [each["way"] for each in document["measured"]] == ["eager in fp32", "ncnn in fp32", "openvino in fp32"]


def test_what_cannot_be_had_is_told_beside_what_can(mar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variants, "WAYS", (EAGER, OPENVINO, Way("openvino", "bf16"), Way("openvino", "int8")))
    monkeypatch.setattr(openvino, "is_installed", lambda: False)
    found = survey.make(mar, [1], 0.01, steps, threads=1)
    assert [each.way for each in found.measured] == [EAGER]
    assert found.lacking[OPENVINO] == "it is not installed here: pip install openvino"
    assert set(found.lacking) == {*variants.WAYS} - {EAGER}


def test_bf16_is_left_out_where_the_processor_does_not_multiply_it(
    mar: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "native_bf16", lambda: None)
    monkeypatch.setattr(variants, "WAYS", tuple(Way(name, "bf16") for name in ("eager", "compiled", "openvino")))
    found = survey.make(mar, [1], 0.01, steps, threads=1)
    assert all("no native bf16" in reason for reason in found.lacking.values())
    assert len(found.lacking) == 3


def test_an_engine_that_dies_costs_the_others_nothing(mar: Path, tmp_path: Path) -> None:
    folder = unpacked(mar, tmp_path / "whole")
    damaged = unpacked(mar, tmp_path / "damaged")
    (damaged / "quick.pth").write_bytes(b"no weights")
    absent = Variant(NCNN, folder, "it is not here")
    three = [Variant(EAGER, folder), Variant(Way("eager", "bf16"), damaged), absent]
    found = turns.compare(three, 1, [1], 0.01, steps)
    assert isinstance(found[0], Figures)
    assert isinstance(found[1], Variant)
    assert "quick.pth cannot be read as weights" in str(found[1].lacks)
    assert found[2] == absent


def test_an_engine_that_is_killed_is_told_as_that(mar: Path, tmp_path: Path) -> None:
    with EngineProcess(Variant(EAGER, unpacked(mar, tmp_path / "whole")), 1) as process:
        process.wait()
        os.kill(process._process.pid, signal.SIGKILL)
        with pytest.raises(Exception, match="its process ended with code -9"):
            process.run(1, 0.01)


def test_the_interval_leaves_out_the_extremes() -> None:
    assert Rate.of([5, 1, 9, 2, 8, 3, 7, 4, 6]) == Rate(5, 2, 8)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_the_most_a_processor_does_is_plausible(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak, "_SECONDS", 0.05)
    most = peak.measure(precision, 1)
    assert most is None or 1e8 < most < 1e14


@pytest.mark.slow
def test_every_way_there_is(mar: Path) -> None:
    found = survey.make(mar, [1, 4], 0.05, steps)
    told = {each.way for each in found.measured} | set(found.lacking)
    assert told == set(variants.WAYS)
    assert {each.way for each in found.measured} >= {EAGER, OPENVINO, NCNN, Way("compiled", "fp32")}
    native = processor.native_bf16() is not None
    assert (Way("openvino", "bf16") in {each.way for each in found.measured}) == native
    assert source(unpacked(mar, mar.parent / "unpacked")).model.architecture == found.architecture
