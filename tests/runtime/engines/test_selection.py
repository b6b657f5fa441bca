"""Which engine is taken, and that the choice is said and never silent."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING

import pytest
from tests.support.unpacked import opened, source, with_members

from visionserve.runtime.engines import openvino, selection
from visionserve.runtime.errors import EngineError, GoldenError, WeightsError
from visionserve.runtime.machine import processor

if TYPE_CHECKING:
    from pathlib import Path

NATIVE = "bf16" if processor.native_bf16() else "fp32"


def test_auto_takes_openvino_and_says_so(archive: Path) -> None:
    described = opened(archive)
    assert (described["engine"], described["precision"]) == ("openvino", NATIVE)
    fastest = "openvino in bf16, the fastest there is"
    passed_over = (
        f"openvino in fp32; passed over: openvino in bf16: cpu ({processor.description()}) has no native bf16"
    )
    assert described["why"].startswith(fastest if NATIVE == "bf16" else passed_over)


def test_without_openvino_auto_takes_torch_and_says_why(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "is_installed", lambda: False)
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
    wrong: Path, caplog: pytest.LogCaptureFixture
) -> None:
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
