"""Each engine gives torch's answers, whoever shares the batch; the choice among them is said, and never silent."""

from __future__ import annotations

import dataclasses
import json
import logging
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import torchvision
import yaml
from tests.support import quick
from torch import nn

from visionserve.archiver import demo
from visionserve.runtime import archive as members
from visionserve.runtime.engines import Source, compiled, eager, openvino, selection
from visionserve.runtime.errors import EngineError, GoldenError, WeightsError
from visionserve.runtime.machine import processor
from visionserve.runtime.model import Model, Transform
from visionserve.runtime.pictures import decode, fit
from visionserve.runtime.proof import golden
from visionserve.runtime.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from visionserve.runtime.engines import Engine


CPU = torch.device("cpu")
NATIVE = "bf16" if processor.native_bf16() else "fp32"
needs_bf16 = pytest.mark.skipif(NATIVE != "bf16", reason="this processor has no native bf16")


@pytest.fixture(scope="module")
def archive(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The quick model's archive, unpacked, with all that `engine: auto` brings."""
    folder = tmp_path_factory.mktemp("auto")
    with zipfile.ZipFile(quick.build(project, "quick-auto", engine="auto", precision="auto").archive.path) as mar:
        mar.extractall(folder)
    return folder


def opened(folder: Path, **handler: object) -> Mapping[str, Any]:
    """What a worker says of an archive whose `handler` section is changed."""
    with tempfile.TemporaryDirectory() as scratch:
        changed = Path(scratch)
        for path in folder.iterdir():
            (changed / path.name).symlink_to(path)
        config = members.read_config(folder)
        config["handler"].update(handler)
        (changed / members.CONFIG_FILE).unlink()
        (changed / members.CONFIG_FILE).write_text(yaml.safe_dump(config))
        return Worker.open(changed, device=CPU).description


def source(archive: Path) -> Source:
    model = Model.from_config(members.read_config(archive), quick.LABELS, "quick", "1.0")
    return Source(archive, model, CPU, threads=1)


@pytest.fixture(scope="module")
def pixels(archive: Path) -> torch.Tensor:
    transform = source(archive).model.transform
    pictures = [data for _, data in demo.held_out(1)] + [picture.data for picture in golden.pictures()]
    return fit.stack([fit.fit(decode.decode(data, 1 << 20), transform) for data in pictures])


@pytest.fixture(scope="module")
def reference(archive: Path, pixels: torch.Tensor) -> torch.Tensor:
    """Probabilities by torch alone: batch norms as they are, contiguous tensors, normalised by torchvision."""
    net = source(archive).network()
    floats = torchvision.transforms.functional.normalize(
        pixels.permute(0, 3, 1, 2) / 255, list(quick.MEAN), list(quick.STD)
    )
    with torch.inference_mode():
        return net(floats).softmax(dim=1)  # type: ignore[no-any-return]


ENGINES = [
    ("eager", "fp32"),
    ("openvino", "fp32"),
    pytest.param("eager", "bf16", marks=needs_bf16),
    pytest.param("openvino", "bf16", marks=needs_bf16),
]
LOADERS: dict[str, Callable[[Source, str], Engine]] = {"eager": eager.load, "openvino": openvino.load}


@pytest.mark.parametrize(("name", "precision"), ENGINES)
def test_answers_are_torchs_and_do_not_depend_on_the_batch(
    name: str, precision: str, archive: Path, pixels: torch.Tensor, reference: torch.Tensor
) -> None:
    engine = LOADERS[name](source(archive), precision)
    logits = engine.logits(pixels)
    assert logits.shape == (len(pixels), len(quick.LABELS))
    assert logits.dtype == torch.float32
    assert (engine.name, engine.precision) == (name, precision)
    change = (logits.softmax(dim=1) - reference).abs().max()
    assert change < (1e-4 if precision == "fp32" else golden.TOLERANCE[precision])
    for size in (1, 3, 5):
        alone = torch.cat([engine.logits(part) for part in torch.split(pixels, size)])
        assert torch.equal(alone, logits), f"in batches of {size}"


def test_openvino_fills_the_archives_own_weights_into_its_graph(
    archive: Path, pixels: torch.Tensor, reference: torch.Tensor
) -> None:
    """Other weights give other answers, so none are hidden in the graph; and the graph is small."""
    graph = openvino.read(archive / openvino.GRAPH_FILE)
    doubled = {key: tensor * 2 for key, tensor in source(archive).state_dict().items()}
    engine = openvino.OpenVinoEngine(openvino.with_weights(graph, doubled), "fp32", threads=1)
    assert (engine.logits(pixels).softmax(dim=1) - reference).abs().max() > 0.1
    stored = sum(path.stat().st_size for path in archive.glob("openvino.*"))
    assert stored < (archive / "quick.pth").stat().st_size / 20


def test_a_graph_of_another_network_names_the_weight_that_does_not_fit(archive: Path) -> None:
    graph = openvino.read(archive / openvino.GRAPH_FILE)
    state_dict = torchvision.models.resnet18(num_classes=3).state_dict()
    with pytest.raises(EngineError, match=r"wants weights 'fc\.\w+' of shape \[7"):
        openvino.with_weights(graph, state_dict)


def test_batch_norms_are_folded_into_convolutions() -> None:
    net = torchvision.models.resnet18(num_classes=3).eval()
    picture = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before = net(picture)
        folded = eager.without_batch_norms(net)
        assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
        torch.testing.assert_close(folded(picture), before, atol=1e-4, rtol=1e-4)


def test_a_network_that_tracing_cannot_follow_is_left_as_it_is() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.norm(x) if float(x.sum()) > 0 else x

    odd = Odd().eval()
    assert eager.without_batch_norms(odd) is odd


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
def test_bf16_is_native_where_the_processor_has_it_and_onednn_may_use_it(
    limit: str | None, native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor, "instructions", lambda: frozenset({"avx2", "avx512_bf16"}))
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    if limit is not None:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert (processor.native_bf16() is not None) == native


@pytest.fixture(scope="module")
def wrong(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same archive with a graph that normalises otherwise, as a damaged or mistaken engine would."""
    folder = tmp_path_factory.mktemp("wrong")
    for path in archive.iterdir():
        (folder / path.name).symlink_to(path)
    dark = dataclasses.replace(source(archive).model.transform, mean=(2.0, 2.0, 2.0))
    graph = openvino.convert(source(archive).network(), dark)
    for name, data in openvino.serialise(graph, openvino.GRAPH_FILE).items():
        (folder / name).unlink()
        (folder / name).write_bytes(data)
    return folder


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


TRANSFORM = Transform(resize=64, crop=64, mean=quick.MEAN, std=quick.STD)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network compiled for this processor."""
    torch.manual_seed(0)
    net = torchvision.models.squeezenet1_1(num_classes=3).eval()
    folder = tmp_path_factory.mktemp("compiled")
    torch.save(net.state_dict(), folder / "net.pth")
    for name, data in compiled.compile_package(net, TRANSFORM, "fp32").items():
        (folder / name).write_bytes(data)
    return folder


def squeezenet(folder: Path) -> Source:
    handler = {
        "architecture": "squeezenet1_1",
        "weights": "net.pth",
        "sha256": "0" * 64,
        "input": dataclasses.asdict(TRANSFORM),
        "engine": "compiled",
        "precision": "auto",
        "decode": "auto",
        "topK": 1,
        "response": "labels",
        "maxPixels": 1,
        "maxImages": 1,
    }
    model = Model.from_config({"handler": handler, "batchSize": 8}, ["a", "b", "c"], "net", "1.0")
    return Source(folder, model, CPU, threads=1)


def test_a_compiled_package_gives_torchs_answers_for_any_batch_size(package: Path) -> None:
    where = squeezenet(package)
    assert compiled.lacks(where, "fp32") is None
    pictures = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), np.uint8))
    wanted = eager.EagerEngine(where.network(), TRANSFORM, CPU)
    engine: Engine = compiled.load(where, "fp32")
    for size in (1, 2, 5):
        torch.testing.assert_close(
            engine.logits(pictures[:size]), wanted.logits(pictures[:size]), atol=1e-3, rtol=1e-3
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"instructions": ["avx1024_fp4"]}, r"lacks avx1024_fp4: build the archive again on one like this"),
        ({"capability": "AVX1024"}, r"compiled for a processor with AVX1024; this one has \w+: build"),
        ({"torch": "1.0"}, r"compiled for torch 1\.0, this is"),
        ({"precision": "bf16"}, r"compiled for bf16"),
    ],
)
def test_a_package_for_another_machine_is_refused_before_it_runs(
    changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    (tmp_path / compiled.PACKAGE_FILE).write_bytes(b"machine code")
    (tmp_path / compiled.TARGET_FILE).write_text(json.dumps({**compiled.target("fp32"), **changes}))
    with pytest.raises(EngineError, match=message):
        selection.choose(squeezenet(tmp_path), [])


def test_weights_that_every_engine_needs_are_no_engines_fault(archive: Path, tmp_path: Path) -> None:
    for path in archive.iterdir():
        if path.suffix != ".pth":
            (tmp_path / path.name).symlink_to(path)
    (tmp_path / "quick.pth").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match=r"quick\.pth cannot be read as weights"):
        opened(tmp_path)
