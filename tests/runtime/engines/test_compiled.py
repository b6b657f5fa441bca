"""A network compiled ahead of time, on the processor it was compiled for and on others."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
import torchvision
from tests.support import quick
from tests.support.unpacked import CPU

from visionserve.runtime.engines import Source, compiled, eager, selection
from visionserve.runtime.errors import EngineError
from visionserve.runtime.model import Model, Transform
from visionserve.runtime.proof import golden

if TYPE_CHECKING:
    from pathlib import Path

    from visionserve.runtime.engines import Engine


pytestmark = pytest.mark.slow

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
        selection.choose(squeezenet(tmp_path), golden.Golden([], [], []))
