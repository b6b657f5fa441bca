"""A model is tried on the user's own labelled pictures, and the usual mistakes are found and told."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import pytest
import torch
import yaml
from typer.testing import CliRunner

from visionserve.archiver.checking import check
from visionserve.archiver.demo import colours
from visionserve.archiver.errors import CheckError
from visionserve.cli import app
from visionserve.evaluation.errors import LabelledPicturesError
from visionserve.runtime.archive import CONFIG_FILE, PROVENANCE_FILE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.archiver.checking.conftest import Build, Weights

    from visionserve.archiver.builder import Built

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


def renormalised(weights: Weights, mean: float, std: float) -> Weights:
    """The same network as if it had been trained with another mean and std: the first layer makes up for them."""
    changed = dict(weights)
    kernel = weights["conv1.weight"]
    # ((std x + mean) - MEAN) / STD is what the layer was trained on.
    changed["conv1.weight"] = kernel * (std / STD)[:, None, None]
    offset = (kernel.sum(dim=(2, 3)) * ((mean - MEAN) / STD)).sum(dim=1)
    changed["bn1.running_mean"] = weights["bn1.running_mean"] - offset
    return changed


def notes(built: Built) -> str:
    return " ".join(built.notes)


@pytest.fixture(scope="module")
def good(build: Build, weights: Weights) -> Built:
    return build("good", weights)


def test_accuracy_is_told_and_travels_in_the_archive(good: Built) -> None:
    checked = good.checked
    assert checked is not None
    assert checked.top1.total == 49
    assert checked.top1.value >= 0.95
    assert checked.top1 == checked.fp32_top1
    assert checked.agreement.value == 1
    assert not checked.mistakes
    assert "top-1" in str(checked)
    assert "of 49 pictures of 7 classes, by eager in fp32" in str(checked)
    with zipfile.ZipFile(good.archive.path) as mar:
        provenance = json.loads(mar.read(PROVENANCE_FILE))
        config = yaml.safe_load(mar.read(CONFIG_FILE))
    assert provenance["check"]["top1"]["count"] == checked.top1.count
    assert provenance["check"]["top1"]["of"] == 49
    assert not {"check", "minAccuracy"} & set(config["handler"])


def test_of_very_many_pictures_some_are_taken_evenly(
    build: Build, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "MOST", 14)
    built = build("many", weights)
    assert built.checked is not None
    assert (built.checked.top1.total, built.checked.classes) == (14, 7)
    assert "14 of 49 pictures were taken, evenly of each class" in notes(built)


@pytest.mark.parametrize(
    "words", [["archive", "stated"], pytest.param(["serve", "stated"], marks=pytest.mark.slow)]
)
def test_the_command_line_asks_for_a_check_and_an_accuracy(
    words: list[str], build: Build, weights: Weights, pictures: Path, alphabetical: str, checked_project: Path
) -> None:
    archive = build("stated", weights, alphabetical, more="").archive.path
    archive.unlink()
    wanted = ["--check", str(pictures), "--min-accuracy", "0.9", "--root", str(checked_project)]
    with pytest.raises(CheckError, match=r"handler\.minAccuracy is 90\.0%.*the labels are in the wrong order"):
        CliRunner().invoke(app, [*words, *wanted], catch_exceptions=False)
    assert not archive.exists()


def test_what_the_command_line_checked_is_printed(
    build: Build, weights: Weights, pictures: Path, checked_project: Path
) -> None:
    build("printed", weights, more="").archive.path.unlink()
    wanted = ["--check", str(pictures), "--min-accuracy", "0.9", "--root", str(checked_project)]
    done = CliRunner().invoke(app, ["archive", "printed", *wanted], catch_exceptions=False)
    assert done.exit_code == 0
    assert "of 49 pictures of 7 classes, by eager in fp32" in done.output


@pytest.mark.parametrize(
    ("mean", "std", "remedy"),
    [
        pytest.param(0.5, 0.5, "--mean 0.5,0.5,0.5 --std 0.5,0.5,0.5", marks=pytest.mark.slow),
        (0.0, 1 / 255, "pixels from 0 to 255: say --mean 0,0,0 --std 0.00392157"),
    ],
    ids=["0.5", "0 to 255"],
)
def test_another_normalisation_is_found(
    mean: float, std: float, remedy: str, build: Build, weights: Weights
) -> None:
    built = build("normalised", renormalised(weights, mean, std))
    assert remedy in notes(built)
    assert "the transform is not the one that it was trained with" in notes(built)
    assert built.checked is not None
    assert built.checked.top1.value < 0.5


def test_blue_before_red_is_found(build: Build, weights: Weights) -> None:
    swapped = {**weights, "conv1.weight": weights["conv1.weight"].flip(1)}
    assert "blue before green and red" in notes(build("bgr", swapped))


@pytest.fixture
def alphabetical(checked_project: Path) -> str:
    """A label file in another order than the network's classes have."""
    (checked_project / "sorted.txt").write_text("\n".join(sorted(colours.HUES)))
    return "sorted.txt"


def test_labels_in_another_order_are_found(build: Build, weights: Weights, alphabetical: str) -> None:
    told = notes(build("permuted", weights, alphabetical))
    assert "the labels are in the wrong order" in told
    assert f"class 0 'red' instead of '{min(colours.HUES)}'" in told


def test_a_folder_with_permuted_classes_is_told_what_is_wrong(
    build: Build, weights: Weights, pictures: Path, tmp_path: Path
) -> None:
    names = list(colours.HUES)
    for name, other in zip(names, names[1:] + names[:1], strict=True):
        (tmp_path / other).symlink_to(pictures / name)
    told = notes(build("turned", weights, more=f"  check: {tmp_path}\n"))
    assert "the labels are in the wrong order" in told
    assert "class 0 'orange' instead of 'red'" in told


def test_too_low_an_accuracy_writes_nothing_and_says_why(
    build: Build, weights: Weights, alphabetical: str, checked_project: Path
) -> None:
    with pytest.raises(CheckError, match=r"handler\.minAccuracy is 90\.0%.*the labels are in the wrong order"):
        build("refused", weights, alphabetical, "  check: pictures\n  minAccuracy: 0.9\n")
    assert not (checked_project / "model_store" / "refused.mar").exists()
    assert build("taken", weights, more="  check: pictures\n  minAccuracy: 0.9\n").archive.path.is_file()


def test_a_head_that_knows_nothing_is_told(build: Build, weights: Weights) -> None:
    torch.manual_seed(1)
    untrained = {**weights, "fc.weight": torch.randn_like(weights["fc.weight"]) * 1e-4}
    untrained["fc.bias"] = torch.tensor([9.0, 0, 0, 0, 0, 0, 0])
    assert "no more than a guess among 7 classes would be" in notes(build("untrained", untrained))


def test_classes_that_are_not_the_models_are_named(build: Build, weights: Weights, tmp_path: Path) -> None:
    (tmp_path / "reed").mkdir()
    (tmp_path / "reed" / "a.jpg").touch()
    with pytest.raises(LabelledPicturesError, match=r"none of its 1 classes \('reed' \(near 'red'\)\)"):
        build("other", weights, more=f"  check: {tmp_path}\n")


def test_pictures_that_cannot_be_decoded_do_not_count(
    build: Build, weights: Weights, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "red").mkdir()
    (tmp_path / "red" / "a.jpg").symlink_to(pictures / "red" / "00.jpg")
    (tmp_path / "red" / "b.jpg").write_bytes(b"\xff\xd8 damaged")
    built = build("damaged", weights, more=f"  check: {tmp_path}\n")
    assert built.checked is not None
    assert built.checked.top1.total == 1
    assert "1 pictures cannot be decoded and do not count" in notes(built)
    (tmp_path / "red" / "a.jpg").unlink()
    with pytest.raises(CheckError, match=r"none of its 1 pictures can be decoded: .*b\.jpg"):
        build("damaged", weights, more=f"  check: {tmp_path}\n")


def test_the_same_folder_calibrates_int8_and_other_pictures_judge(
    build: Build, weights: Weights, pictures: Path
) -> None:
    more = "  check: pictures\n  minAgreement: 0.5\n"
    broken = pictures / max(colours.HUES) / "zz.jpg"
    broken.write_bytes(b"no picture")
    try:
        built = build("int8", weights, more=more, engine="openvino", precision="int8")
    finally:
        broken.unlink()
    assert "1 pictures cannot be decoded" in notes(built)
    assert built.int8 is not None
    assert built.checked is not None
    assert built.int8.calibrated == 25
    assert built.checked.top1.total == 49 - 25
    assert built.checked.engine == "openvino in int8"
