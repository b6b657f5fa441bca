"""int8: on whose pictures it is calibrated, on whose it is judged, and when it is refused."""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.support import quick
from torch import nn

from visionserve.archiver.demo import colours
from visionserve.archiver.engines import calibration
from visionserve.archiver.errors import CalibrationError
from visionserve.runtime import archive
from visionserve.runtime.engines import openvino
from visionserve.runtime.errors import SpecError
from visionserve.runtime.model import Transform
from visionserve.runtime.pictures import fit
from visionserve.runtime.proof import drawing
from visionserve.runtime.worker import Worker

if TYPE_CHECKING:
    from visionserve.archiver.builder import Built

CPU = torch.device("cpu")
# The quick network's random features do not survive rounding: int8 errs where fp32 does not.
LOOSE = "  calibration: pictures\n  minAgreement: 0.5\n"
STRICT = LOOSE.replace("0.5", "0.98")


@pytest.fixture(scope="module")
def pictures(project: Path) -> Path:
    """Three pictures of each colour and as many photographs as make 104, in one folder for each."""
    folder = project / "pictures"
    for colour in colours.HUES:
        (folder / colour).mkdir(parents=True)
        for seed in range(3):
            (folder / colour / f"{seed}.jpg").write_bytes(colours.picture(colour, 3_000_000 + seed))
    (folder / "photographs").mkdir()
    for seed in range(83):
        data = drawing.encode(drawing.photograph(3_000_000 + seed, 160, 120), "PNG")
        (folder / "photographs" / f"{seed}.png").write_bytes(data)
    (folder / "README.txt").write_text("no picture")
    return folder


@pytest.fixture(scope="module")
def built(project: Path, pictures: Path) -> Built:
    return quick.build(project, "quick-int8", engine="auto", precision="int8", more=LOOSE)


def test_half_calibrates_and_the_other_half_judges(built: Built) -> None:
    report = built.int8
    assert report is not None
    assert (report.calibrated, report.held_out) == (52, 52)
    assert 0.5 <= report.agreement < 0.98
    assert 0 < report.largest_change < 1
    assert f"top-1 is fp32's for {report.agreement:.1%}" in str(report)
    assert f"{report.largest_change:.4f}" in str(report)


def test_the_archive_serves_int8_and_says_how_far_it_is_from_fp32(built: Built, tmp_path: Path) -> None:
    with zipfile.ZipFile(built.archive.path) as mar:
        mar.extractall(tmp_path)
    config = yaml.safe_load((tmp_path / archive.CONFIG_FILE).read_text())
    assert "calibration" not in config["handler"]
    described = Worker.open(tmp_path, device=CPU).description
    assert (described["engine"], described["precision"]) == ("openvino", "int8")
    assert built.int8 is not None
    provenance = json.loads((tmp_path / archive.PROVENANCE_FILE).read_text())
    assert provenance["int8"]["agreement"] == built.int8.agreement
    assert (tmp_path / "openvino-int8.bin").stat().st_size < (tmp_path / "quick.pth").stat().st_size / 3


@pytest.mark.slow
def test_the_same_pictures_give_the_same_bytes(built: Built, project: Path) -> None:
    again = quick.build(project, "quick-int8", engine="auto", precision="int8", more=LOOSE)
    assert again.archive == built.archive


def test_the_archive_depends_on_the_pictures(built: Built, pictures: Path) -> None:
    assert set(built.inputs) >= {path for path in pictures.rglob("*") if path.suffix in (".jpg", ".png")}
    assert pictures / "README.txt" not in built.inputs


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("", r"int8 needs at least 200 pictures .*: add 'calibration: FOLDER' to handler"),
        ("  calibration: nowhere\n", r"nowhere is no folder: int8 needs at least 200 pictures"),
        ("  calibration: pictures\n", r"pictures holds 104 pictures: int8 needs at least 200 pictures"),
    ],
)
def test_no_or_too_few_pictures_say_how_many_are_needed(
    more: str, message: str, project: Path, pictures: Path
) -> None:
    with pytest.raises(CalibrationError, match=message):
        quick.build(project, "quick-refused", engine="auto", precision="int8", more=more)
    assert not (project / "model_store" / "quick-refused.mar").exists()


def test_a_damaged_picture_is_named(project: Path, pictures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    folder.mkdir()
    for path in pictures.rglob("*.*"):
        (folder / f"{path.parent.name}-{path.name}").symlink_to(path)
    (folder / "photographs-0.png").unlink()
    (folder / "photographs-0.png").write_bytes(b"\x89PNG damaged")
    with pytest.raises(CalibrationError, match=r"photographs-0\.png: .*; remove it from the calibration pictures"):
        quick.build(
            project, "quick-refused", engine="auto", precision="int8", more=LOOSE.replace("pictures", str(folder))
        )


def test_int8_that_strays_too_far_is_refused_and_nothing_is_written(project: Path, built: Built) -> None:
    assert built.int8 is not None
    with pytest.raises(
        CalibrationError,
        match=rf"top-1 is fp32's for {built.int8.agreement:.1%}.*; handler\.minAgreement is 98\.0%",
    ):
        quick.build(project, "quick-refused", engine="auto", precision="int8", more=STRICT)
    assert not (project / "model_store" / "quick-refused.mar").exists()


def test_the_share_and_the_largest_change_are_of_all_pictures() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 2.0], [3.0, 0.0], [1.0, 0.0]])
    flipped = logits.clone()
    flipped[0] = torch.tensor([0.0, 2.0])
    report = calibration.judge(100, logits, flipped)
    assert report.agreement == 0.75
    assert report.largest_change == pytest.approx(1 / (1 + math.exp(-2)) - 1 / (1 + math.exp(2)))
    calibration.require(report, 0.75)
    with pytest.raises(CalibrationError, match=r"75\.0%.*0\.7616; handler\.minAgreement is 99\.0%"):
        calibration.require(report, 0.99)


def test_the_biases_of_convolutions_are_corrected() -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d(3, 8, 3)
    network = nn.Sequential(convolution, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4)).eval()
    spec = Transform(resize=32, crop=32, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
    graph = openvino.with_weights(openvino.convert(network, spec), network.state_dict())
    pixels = [fit.fit(drawing.photograph(seed, 64, 48), spec) for seed in range(20)]
    quantised = calibration.quantise(graph, pixels)
    (found,) = (one for one in quantised.get_ops() if one.get_type_name() == "Convolution")
    (added,) = (target.get_node() for target in found.output(0).get_target_inputs())
    bias = torch.from_numpy(added.input_value(1).get_node().data.reshape(-1).copy())
    assert convolution.bias is not None
    assert 0 < (bias - convolution.bias.detach()).abs().max() < 0.1


def test_nan_is_no_agreement() -> None:
    logits = torch.tensor([[2.0, 0.0]])
    report = calibration.judge(100, logits, logits * math.nan)
    with pytest.raises(CalibrationError):
        calibration.require(report, 0.99)


@pytest.mark.parametrize(
    ("agreement", "pictures"), [(0.99, 200), (0.95, 40), (0.5, 40), (0.999, 2000), (1.0, 2000)]
)
def test_the_stricter_the_bound_the_more_pictures_are_needed(agreement: float, pictures: int) -> None:
    assert calibration.needed(agreement) == pictures


@given(st.integers(0, 5000))
def test_the_halves_share_no_picture_and_waste_none_while_they_are_few(count: int) -> None:
    paths = [Path(f"{index:05}.jpg") for index in range(count)]
    calibrating, held_out = calibration.split(paths)
    assert not set(calibrating) & set(held_out)
    assert len(calibrating) == min(count - count // 2, calibration.MOST_CALIBRATED)
    assert len(held_out) == min(count // 2, calibration.MOST_HELD_OUT)
    assert (calibrating, held_out) == calibration.split(paths)


def test_pictures_sorted_into_one_folder_a_class_give_both_halves_of_each() -> None:
    paths = [Path(f"{label}/{index}.jpg") for label in "abcdef" for index in range(10)]
    for half in calibration.split(paths):
        assert {path.parent.name for path in half} == set("abcdef")


def test_only_openvino_runs_int8() -> None:
    with pytest.raises(SpecError, match=r"handler\.engine is eager, which does not run int8: only openvino does"):
        quick_spec(engine="eager", precision="int8")
    with pytest.raises(
        SpecError, match=r"handler\.minAgreement is 1\.5: it must be a share above 0 and at most 1"
    ):
        quick_spec(minAgreement=1.5)


def quick_spec(**handler: object) -> None:
    from visionserve.archiver.models.spec import ModelSpec

    ModelSpec.from_mapping("quick", {"handler": {"architecture": "resnet18", **handler}}, "quick.yaml")
