"""ncnn gives torch's answers from the archive's own weights."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from tests.support import quick
from tests.support.unpacked import opened, source, unpacked, with_members

from visionserve.runtime.engines import eager, graph_weights, ncnn
from visionserve.runtime.errors import EngineError, GoldenError
from visionserve.runtime.proof import drawing, golden
from visionserve.runtime.proof.agreement import pixels as golden_pixels

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def winograd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive whose engine is ncnn, unpacked."""
    root = quick.project(tmp_path_factory.mktemp("ncnn"))
    (root / "model_store").mkdir()
    quick.build(root, "quick", engine="ncnn")
    return unpacked(root / "model_store" / "quick.mar", root / "unpacked")


@pytest.fixture(scope="module")
def pixels(winograd: Path) -> torch.Tensor:
    return torch.from_numpy(np.stack(golden_pixels(source(winograd).model.transform)))


def test_its_logits_are_torchs(winograd: Path, pixels: torch.Tensor) -> None:
    engine = ncnn.load(source(winograd), "fp32")
    right = eager.load(source(winograd), "fp32").logits(pixels)
    logits = engine.logits(pixels)
    assert logits.dtype == torch.float32
    assert max(golden.error(row, one) for row, one in zip(logits.numpy(), right.numpy(), strict=True)) < 1e-4
    assert torch.equal(torch.cat([engine.logits(one[None]) for one in pixels]), logits)
    assert len(pixels) == len(drawing.pictures())


def test_a_worker_serves_by_it_and_says_so(winograd: Path) -> None:
    described = opened(winograd)
    assert (described["engine"], described["precision"]) == ("ncnn", "fp32")


def test_its_weights_are_the_archives_and_cost_it_nothing(winograd: Path, pixels: torch.Tensor) -> None:
    """Other weights give other answers, so none are hidden in the graph; and the graph is small."""
    graph = (winograd / ncnn.GRAPH_FILE).read_text()
    parts = json.loads((winograd / ncnn.WEIGHTS_FILE).read_text())
    doubled = {key: tensor * 2 for key, tensor in source(winograd).state_dict().items()}
    transform = source(winograd).model.transform
    other = ncnn.NcnnEngine(ncnn.net(graph, graph_weights.arrays(parts, doubled, b""), 1), transform)
    logits = ncnn.load(source(winograd), "fp32").logits(pixels)
    assert golden.error(other.logits(pixels).numpy()[0], logits.numpy()[0]) > 0.1
    stored = sum(path.stat().st_size for path in winograd.glob("ncnn.*"))
    assert stored < (winograd / "quick.pth").stat().st_size / 100


def test_a_graph_of_other_weights_is_refused(winograd: Path, tmp_path: Path) -> None:
    parts = json.loads((winograd / ncnn.WEIGHTS_FILE).read_text())
    weights = [index for index, part in enumerate(parts) if part[0] == "weight"]
    parts[weights[1]], parts[weights[2]] = parts[weights[2]], parts[weights[1]]
    swapped = with_members(winograd, tmp_path, {ncnn.WEIGHTS_FILE: json.dumps(parts).encode()})
    with pytest.raises(GoldenError, match="ncnn in fp32: golden picture"):
        opened(swapped)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda parts: parts[:-1], "do not belong together"),
        (lambda parts: [*parts, ["bytes", "AAAA"]], "do not belong together"),
        (lambda parts: [["tensor", "nowhere.weight"], *parts[1:]], "nowhere.weight"),
        (lambda parts: [["secret", "x"], *parts[1:]], "secret"),
        (lambda parts: [["bytes", "?"], *parts[1:]], "bytes"),
        (lambda parts: [], "do not belong together"),
    ],
)
def test_weights_that_do_not_fit_are_one_line(winograd: Path, tmp_path: Path, change: object, said: str) -> None:
    assert callable(change)
    parts = json.dumps(change(json.loads((winograd / ncnn.WEIGHTS_FILE).read_text()))).encode()
    with pytest.raises(EngineError, match=f"no engine can run this model here: ncnn in fp32: .*{said}"):
        opened(with_members(winograd, tmp_path, {ncnn.WEIGHTS_FILE: parts}))


@pytest.mark.parametrize("graph", ["", "7767517\n1 1\nNothing x 0 1 in0\n", "nonsense", "7767517\n"])
def test_a_graph_that_is_none_is_one_line(winograd: Path, tmp_path: Path, graph: str) -> None:
    with pytest.raises(EngineError, match="no engine can run this model here: ncnn in fp32"):
        opened(with_members(winograd, tmp_path, {ncnn.GRAPH_FILE: graph.encode()}))


def test_without_ncnn_it_says_what_to_install(winograd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ncnn, "is_installed", lambda: False)
    with pytest.raises(EngineError, match="pip install ncnn"):
        opened(winograd)
    assert opened(winograd, engine="auto")["engine"] == "eager"


def test_parts_are_what_they_say() -> None:
    parts: list[graph_weights.Part] = [
        ["bytes", base64.b64encode(b"abcd").decode()],
        ["tensor", "a"],
        ["rows", "a", 1, 2],
        ["constant", 2, 4],
    ]
    found = list(graph_weights.arrays(parts, {"a": torch.arange(6.0).reshape(3, 2)}, b"wxyz"))
    assert bytes(found[0]) == b"abcd"
    assert found[1].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert found[2].tolist() == [[2, 3]]
    assert bytes(found[3]) == b"yz"
