"""From what a user asks to serve to an archive, built when it must be."""

from __future__ import annotations

import contextlib
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
import torchvision

from visionserve.archiver import builder, resolution
from visionserve.archiver.assumptions import Stated
from visionserve.archiver.errors import CheckError
from visionserve.archiver.models.spec import InputChanges
from visionserve.archiver.weights import download
from visionserve.project import Project
from visionserve.runtime.errors import SpecError, WeightsError
from visionserve.runtime.proof import drawing

if TYPE_CHECKING:
    from visionserve.archiver.assumptions import Assumed
    from visionserve.archiver.builder import Built


class Told:
    """All that was said while targets were prepared."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.assumed: list[Assumed] = []
        self.built: list[Built] = []

    def progress(self) -> resolution.Progress:
        return resolution.Progress(
            self.steps.append, contextlib.nullcontext, self.assumed.append, self.built.append
        )


def prepare(
    root: Path, *names: object, stated: Stated | None = None, offline: bool = True
) -> tuple[list[str], Told]:
    told = Told()
    found = resolution.prepare(
        Project(root), [str(name) for name in names], stated or Stated(), told.progress(), offline=offline
    )
    assert all(target.archive.is_file() for target in found)
    return [target.name for target in found], told


def save(path: Path, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    path.parent.mkdir(exist_ok=True)
    torch.save(torchvision.models.squeezenet1_1(num_classes=3).state_dict(), path)
    return path


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no-cache"))


def test_what_has_changed_is_told_and_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    birds = save(tmp_path / "birds.pth")
    assert prepare(tmp_path, birds)[1].built
    assert not prepare(tmp_path, birds)[1].built

    def build(*_: object, **__: object) -> None:
        raise SpecError("it is built again")

    monkeypatch.setattr(builder, "build", build)
    with pytest.raises(SpecError, match="it is built again"):
        prepare(tmp_path, birds, stated=Stated(input=InputChanges(resize=300)))
    save(birds, seed=1)
    with pytest.raises(SpecError, match="it is built again"):
        prepare(tmp_path, birds)


@pytest.mark.slow
def test_an_archive_is_built_again_when_and_only_when_something_changed(tmp_path: Path) -> None:
    birds = save(tmp_path / "birds.pth")
    names, told = prepare(tmp_path, birds)
    assert names == ["birds"]
    assert len(told.built) == 1

    again = prepare(tmp_path, birds)[1]
    assert not again.built
    assert "reused" in again.steps[-1]
    assert again.assumed, "what is taken for granted is said each time"

    labels = tmp_path / "birds.txt"
    labels.write_text("wren\nrook\nkite\n")
    named = prepare(tmp_path, birds, stated=Stated(labels=labels))[1]
    assert "changed since: labels" in named.steps[-1]
    save(birds, seed=1)
    assert "changed since: weights" in prepare(tmp_path, birds, stated=Stated(labels=labels))[1].steps[-1]

    # By its name alone the archive is served as it is, and from anywhere as a file.
    assert prepare(tmp_path, "birds")[0] == ["birds"]
    elsewhere = (tmp_path / "model_store" / "birds.mar").rename(tmp_path / "aves.mar")
    assert prepare(tmp_path, elsewhere)[0] == ["aves"]

    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "aves.mar").write_bytes(elsewhere.read_bytes())
    with pytest.raises(SpecError, match="two of the targets are called aves"):
        prepare(tmp_path, elsewhere, tmp_path / "copy" / "aves.mar")


def test_a_check_is_made_when_it_is_asked_for_and_not_again(tmp_path: Path) -> None:
    birds = save(tmp_path / "birds.pth")
    for index, name in enumerate(("wren", "rook", "kite")):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        (tmp_path / "pictures" / name / "a.png").write_bytes(
            drawing.encode(drawing.photograph(index, 64, 64), "PNG")
        )
    checked = Stated(check=tmp_path / "pictures")

    (built,) = prepare(tmp_path, birds, stated=checked)[1].built
    assert built.checked is not None
    assert built.checked.top1.total == 3
    assert not prepare(tmp_path, birds, stated=checked)[1].built
    assert not prepare(tmp_path, birds)[1].built, "an archive serves without the check that it has passed"
    before = built.archive.path.read_bytes()
    with pytest.raises(CheckError, match=r"handler\.minAccuracy is 99\.9%, so nothing is written"):
        prepare(tmp_path, birds, stated=Stated(check=tmp_path / "pictures", min_accuracy=0.999))
    assert built.archive.path.read_bytes() == before

    with pytest.raises(
        SpecError,
        match=r"birds\.mar is built already, .*'visionserve evaluate birds .*/pictures' then measures it",
    ):
        prepare(tmp_path, tmp_path / "model_store" / "birds.mar", stated=checked)


def test_another_models_archive_is_not_replaced(tmp_path: Path) -> None:
    birds = save(tmp_path / "birds.pth")
    (tmp_path / "model_store").mkdir()
    (tmp_path / "model_store" / "birds.mar").write_bytes(b"someone's")
    with pytest.raises(SpecError, match=r"is another model's.*--name"):
        prepare(tmp_path, birds)
    assert (tmp_path / "model_store" / "birds.mar").read_bytes() == b"someone's"


def test_two_targets_of_one_name_are_refused_before_either_is_built(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        save(tmp_path / folder / "birds.pth")
    with pytest.raises(SpecError, match=r"two of the targets are called birds: .*rename one of the files"):
        prepare(tmp_path, tmp_path / "a" / "birds.pth", tmp_path / "b" / "birds.pth")
    assert not (tmp_path / "model_store").exists()


def test_an_archive_of_ones_own_weights_under_torchvisions_name_is_kept(tmp_path: Path) -> None:
    (tmp_path / "model_store").mkdir()
    mar = tmp_path / "model_store" / "resnet18.mar"
    with zipfile.ZipFile(mar, "w") as archive:
        provenance = {"built_from": {"weights": "0"}, "weights": {"origin": "mine.pth"}}
        archive.writestr("provenance.json", json.dumps(provenance))
    before = mar.read_bytes()
    told = Told()
    (ready,) = resolution.prepare(Project(tmp_path), ["resnet18"], Stated(), told.progress(), offline=True)
    assert (ready.name, ready.archive) == ("resnet18", mar)
    assert mar.read_bytes() == before
    assert "it holds mine.pth, not torchvision's weights" in told.steps[0]


def test_torchvisions_weights_are_fetched_and_the_size_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, Path]] = []

    def fetch(url: str, destination: Path) -> str:
        asked.append((url, destination))
        raise WeightsError("no network in tests")

    monkeypatch.setattr(download, "download", fetch)
    told = Told()
    with pytest.raises(WeightsError, match="no network in tests"):
        resolution.prepare(Project(tmp_path), ["mobilenet_v3_small"], Stated(), told.progress())
    ((url, destination),) = asked
    assert destination == tmp_path / "weights" / Path(url).name
    assert told.steps == [f"fetching MobileNet_V3_Small_Weights.IMAGENET1K_V1, 10 MB, from {url}"]

    with pytest.raises(WeightsError, match=f"--offline forbids fetching them: put {destination.name} into"):
        prepare(tmp_path, "mobilenet_v3_small", offline=True)
    assert len(asked) == 1
