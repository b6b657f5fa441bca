"""Which engine is taken, and that the choice is said and never silent."""

from __future__ import annotations

import dataclasses
import logging
import re
from typing import TYPE_CHECKING

import pytest
from tests.support.unpacked import opened, source, with_members

from visionserve.runtime.engines import ncnn, openvino, selection, speed
from visionserve.runtime.engines.speed import Speed
from visionserve.runtime.errors import EngineError, GoldenError, WeightsError
from visionserve.runtime.machine import processor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NATIVE = "bf16" if processor.native_bf16() else "fp32"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is remembered is this test's own."""
    monkeypatch.setenv("VISIONSERVE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def measured(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Speed, Speed], list[int]]:
    """Has measurements find a speed of the usual engine and one of ncnn; gives the list of measurements."""

    def so(usual: Speed, rival: Speed) -> list[int]:
        made: list[int] = []

        def compare(engines: list[object], _model: object) -> list[Speed]:
            made.append(len(engines))
            return [usual, rival]

        monkeypatch.setattr(speed, "compare", compare)
        return made

    return so


def test_auto_takes_openvino_and_says_so(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ncnn, "is_installed", lambda: False)
    described = opened(archive)
    assert (described["engine"], described["precision"]) == ("openvino", NATIVE)
    fastest = "openvino in bf16, the fastest there is"
    passed_over = (
        f"openvino in fp32; passed over: openvino in bf16: cpu ({processor.description()}) has no native bf16"
    )
    assert described["why"].startswith(fastest if NATIVE == "bf16" else passed_over)


def test_auto_takes_ncnn_where_it_is_faster_and_remembers_that(
    archive: Path, measured: Callable[[Speed, Speed], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    measurements = measured(Speed(5.25, 5.3), Speed(9.6, 9.6))
    described = opened(archive)
    assert (described["engine"], described["precision"]) == ("ncnn", "fp32")
    said = f"ncnn in fp32, 9.6 and 9.6 pictures/s alone and in batches of 8; openvino in {NATIVE}, 5.25 and 5.3"
    assert described["why"].startswith(said)

    def load(*_: object) -> None:
        raise AssertionError("what is slower is not even loaded")

    monkeypatch.setattr(openvino, "load", load)
    assert opened(archive)["why"].startswith(said)
    assert measurements == [2]


def test_auto_keeps_openvino_where_ncnn_is_slower_and_remembers_that(
    archive: Path, measured: Callable[[Speed, Speed], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    measurements = measured(Speed(50, 90), Speed(60, 80))
    said = f"openvino in {NATIVE}, 50 and 90 pictures/s alone and in batches of 8; ncnn in fp32, 60 and 80"
    assert opened(archive)["why"].startswith(said)
    monkeypatch.setattr(ncnn, "load", None)
    assert opened(archive)["why"].startswith(said)
    assert measurements == [2]


def test_what_is_remembered_and_fails_here_is_passed_over(
    archive: Path, measured: Callable[[Speed, Speed], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(Speed(1, 1), Speed(2, 2))
    assert opened(archive)["engine"] == "ncnn"

    def load(*_: object) -> None:
        raise EngineError("ncnn gives up with code -100")

    monkeypatch.setattr(ncnn, "load", load)
    described = opened(archive)
    assert described["engine"] == "openvino"
    passed_over = described["why"].partition("; passed over: ")[2]
    assert "ncnn in fp32: ncnn gives up with code -100" in passed_over


def test_ncnn_is_compared_with_the_first_that_answers_rightly(
    wrong: Path, measured: Callable[[Speed, Speed], list[int]]
) -> None:
    measured(Speed(1, 1), Speed(2, 2))
    why = opened(wrong, precision="fp32")["why"]
    assert why.startswith(
        "ncnn in fp32, 2 and 2 pictures/s alone and in batches of 8; eager in fp32, 1 and 1; passed"
    )
    assert "openvino in fp32: golden picture" in why


def test_ncnn_that_answers_wrongly_is_passed_over_and_not_measured(
    archive: Path, measured: Callable[[Speed, Speed], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    measurements = measured(Speed(1, 1), Speed(2, 2))
    dark = dataclasses.replace(source(archive).model.transform, mean=(1.0, 1.0, 1.0))
    right = ncnn.NcnnEngine
    monkeypatch.setattr(ncnn, "NcnnEngine", lambda net, _transform: right(net, dark))
    described = opened(archive)
    assert described["engine"] == "openvino"
    assert "passed over: " in described["why"]
    assert "ncnn in fp32: golden picture photograph-0-500x375.jpeg: its logits are " in described["why"]
    assert measurements == []


def test_a_real_measurement_says_what_it_found(archive: Path, cache: Path) -> None:
    why = opened(archive)["why"]
    engine, figures = r"(openvino|ncnn) in \w+", r"[\d.]+ and [\d.]+"
    assert re.match(rf"{engine}, {figures} pictures/s alone and in batches of 8; {engine}, {figures}", why)
    assert list(cache.rglob("*.json"))
    assert opened(archive)["why"] == why


def test_without_openvino_auto_takes_torch_and_says_why(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "is_installed", lambda: False)
    monkeypatch.setattr(ncnn, "is_installed", lambda: False)
    described = opened(archive)
    assert described["engine"] == "eager"
    assert "openvino in fp32: it is not installed here: pip install openvino" in described["why"]


def test_pinned_openvino_that_is_not_installed_is_an_error(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "is_installed", lambda: False)
    with pytest.raises(
        EngineError, match=r"no engine can run this model here: openvino in .*pip install openvino"
    ):
        opened(archive, engine="openvino")


def test_a_processor_without_bf16_runs_fp32_and_refuses_pinned_bf16(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "instructions", lambda: frozenset({"avx2", "fma"}))
    assert opened(archive)["precision"] == "fp32"
    with pytest.raises(EngineError, match=r"openvino in bf16: .*no native bf16; eager in bf16: "):
        opened(archive, precision="bf16")


@pytest.mark.parametrize(
    ("limit", "native"),
    [(None, True), ("AVX2", False), ("avx512_core_vnni", False), ("AVX512_CORE_BF16", True), ("DEFAULT", True)],
)
@pytest.mark.parametrize("variable", ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"])
def test_bf16_is_native_where_the_processor_has_it_and_onednn_may_use_it(
    variable: str, limit: str | None, native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "instructions", lambda: frozenset({"avx2", "avx512_bf16"}))
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    monkeypatch.delenv("DNNL_MAX_CPU_ISA", raising=False)
    if limit is not None:
        monkeypatch.setenv(variable, limit)
    assert (processor.native_bf16() is not None) == native


@pytest.fixture(scope="module")
def wrong(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same archive with a graph that normalises otherwise, as a damaged or mistaken engine would."""
    folder = tmp_path_factory.mktemp("wrong")
    dark = dataclasses.replace(source(archive).model.transform, mean=(1.0, 1.0, 1.0))
    graph = openvino.convert(source(archive).network(), dark)
    return with_members(archive, folder, openvino.serialise(graph, openvino.GRAPH_FILE))


def test_auto_passes_an_engine_over_that_answers_wrongly_and_logs_it_once(
    wrong: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ncnn, "is_installed", lambda: False)
    with caplog.at_level(logging.WARNING):
        described = opened(wrong, precision="fp32")
    assert described["engine"] == "eager"
    (logged,) = [record.getMessage() for record in caplog.records if "passed over" in record.getMessage()]
    assert logged.startswith("openvino in fp32 is passed over: golden picture photograph-0-500x375.jpeg: ")


def test_a_pinned_engine_that_answers_wrongly_names_picture_answers_and_engine(wrong: Path) -> None:
    with pytest.raises(
        GoldenError,
        match=r"openvino in fp32: golden picture photograph-\d-\w+\.\w+: .*'\w+'",
    ):
        opened(wrong, engine="openvino", precision="fp32")


def test_int8_is_openvinos_alone_and_fastest_comes_first() -> None:
    assert selection.candidates("auto", "int8") == [("openvino", "int8")]
    assert selection.candidates("auto", "auto")[0] == ("openvino", "bf16")
    assert selection.candidates("auto", "auto")[-1] == ("eager", "fp32")
    assert selection.candidates("eager", "auto") == [("eager", "bf16"), ("eager", "fp32")]


def test_weights_that_every_engine_needs_are_no_engines_fault(archive: Path, tmp_path: Path) -> None:
    with_members(archive, tmp_path, {"quick.pth": b"damaged"})
    with pytest.raises(WeightsError, match=r"quick\.pth cannot be read as weights"):
        opened(tmp_path)
