"""Each engine gives torch's answers, whoever shares the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
import torchvision
from tests.support import quick
from tests.support.unpacked import source
from torch import nn

from visionserve.archiver.demo import colours
from visionserve.runtime.engines import Source, eager, openvino
from visionserve.runtime.errors import EngineError
from visionserve.runtime.machine import processor
from visionserve.runtime.pictures import decode, fit
from visionserve.runtime.proof import drawing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from visionserve.runtime.engines import Engine


NATIVE = "bf16" if processor.native_bf16() else "fp32"
needs_bf16 = pytest.mark.skipif(NATIVE != "bf16", reason="this processor has no native bf16")


@pytest.fixture(scope="module")
def pixels(archive: Path) -> torch.Tensor:
    transform = source(archive).model.transform
    pictures = [data for _, data in colours.held_out(1)] + [picture.data for picture in drawing.pictures()]
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
    assert change < (1e-4 if precision == "fp32" else 0.1)
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
