"""What `make precision` measures, on answers and pictures that are known."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from tests.conftest import REPOSITORY

from benchmarks.errors import NotRun
from benchmarks.markers import Markers
from benchmarks.precision import figures, pictures, subjects, tables
from benchmarks.precision.figures import Distance, Figures
from benchmarks.precision.proof import Proof
from benchmarks.precision.results import Results
from benchmarks.precision.run import Measured

if TYPE_CHECKING:
    from pathlib import Path

HARDWARE = {"cpu": "A CPU", "cores": 2, "instructions": ["avx2"]}
DISTANCE = Distance(0.21, 0.176, 0.113, 0.099, 0.05, 249, 0.044, 0.132)


def measured(name: str = "efficientnet-lite0") -> Measured:
    return Measured(
        name,
        "pictures",
        figures=[Figures("openvino", "bf16", "fast", 260, DISTANCE, 4.3, 5.4)],
        proofs=[
            Proof("eager", "bf16", "", 0.03, 0.07, 0.02),
            Proof("openvino", "bf16", "", 0.04, 0.06, 0.02),
            Proof("openvino", "bf16", "AVX512_CORE_BF16", 0.05, 0.08, 0.02),
        ],
        not_run={"openvino int8": "not installed"},
    )


def results(**versions: str) -> Results:
    return Results({"date": "2026-01-02", "hardware": HARDWARE, "versions": {"torch": "2.0", **versions}})


def test_the_figures_are_of_the_worst_picture_and_class_and_of_what_the_reference_saw() -> None:
    right = np.log(np.array([[0.6, 0.3, 0.1], [0.5, 0.4, 0.1]], np.float32))
    assert figures.compare(right, right) == Distance(0, 0, 0, 0, 0, 2, 0, 0)
    got = right.copy()
    got[1] = right[1, [1, 0, 2]]
    found = figures.compare(got, right)
    assert found.agreed == 1
    assert [found.margin, found.change] == pytest.approx([0.1, 0.1])
    assert 0 < found.error_p99 <= found.error < 1.5
    assert 0 < found.deviation_p50 <= found.deviation


def test_derived_pictures_are_the_same_every_time_and_of_many_sizes() -> None:
    pytest.importorskip("skimage", reason="'pip install --group demo' brings it")
    count = len(pictures.PHOTOGRAPHS) + 3
    drawn = pictures.derived(count, seed=0)
    assert drawn == pictures.derived(count, seed=0)
    assert len(set(drawn + pictures.derived(count, seed=1))) == 2 * count
    sizes = [min(Image.open(io.BytesIO(data)).size) for data in drawn]
    assert all(Image.open(io.BytesIO(data)).format == "JPEG" for data in drawn)
    assert min(sizes) < 256 < 768 < max(sizes)


def test_every_network_that_is_not_here_says_what_would_bring_it(tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to(REPOSITORY / "models")
    with pytest.raises(NotRun, match=r"demo-vgg16\.pth is not there; 'make weights/demo-vgg16\.pth' makes it"):
        subjects.make("demo-vgg16", tmp_path, tmp_path, 1)


def test_a_table_shows_the_engine_beside_what_the_proof_allows() -> None:
    run = results()
    run.measured["efficientnet-lite0"] = measured()
    run.measured["demo-vgg16"] = Measured("demo-vgg16", not_run={"": "no weights"})
    section = tables.section(run)
    assert "| openvino bf16 | fast | 21.0% (17.6%) | 11.3% (9.9%) | 249 of 260 | 0.044 | 0.132 |" in section
    assert "| EfficientNet-Lite0, ImageNet, bf16 | 4.0%, 7.0% | 5.0%, 8.0% |  |  | 50%, 120% |" in section
    assert "openvino int8: not run: not installed." in section
    assert "VGG-16, colours: not run: no weights." in section


def test_a_network_measured_again_takes_its_place_beside_the_others(tmp_path: Path) -> None:
    path = tmp_path / "results" / "one.json"
    first = results()
    first.measured = {name: measured(name) for name in ("efficientnet-lite0", "demo-resnet18")}
    first.write(path)
    assert Results.read(path) == first
    second = results()
    second.keep(Results.read(path))
    assert second.measured == first.measured
    other = results(openvino="1")
    other.keep(first)
    assert other.measured == {}


def test_what_is_between_the_markers_is_replaced_and_a_page_without_them_is_not(tmp_path: Path) -> None:
    page, markers = tmp_path / "page.md", Markers("precision", "make precision")
    assert not markers.put(page, "new")
    page.write_text(f"before\n{markers.begin}\nold\n{markers.end}\nafter\n")
    assert markers.put(page, "new")
    assert page.read_text() == f"before\n{markers.begin}\nnew\n{markers.end}\nafter\n"
