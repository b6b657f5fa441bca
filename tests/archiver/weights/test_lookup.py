"""Which weights file a model gets, and that it is the right one."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from visionserve.archiver.models.spec import HandlerSpec
from visionserve.archiver.weights import digests, entries, lookup
from visionserve.runtime.errors import SpecError, WeightsError

V1, V2 = "resnet50-0676ba61.pth", "resnet50-11ad3fa6.pth"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project and torch hub's cache, both empty."""
    (tmp_path / "project" / "weights").mkdir(parents=True)
    (tmp_path / "home" / "hub" / "checkpoints").mkdir(parents=True)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    # The files here are no real ones, so their digests cannot be those in torchvision's names.
    monkeypatch.setattr(digests, "in_name", lambda _path: None)
    return tmp_path / "project"


def put(folder: Path, name: str) -> Path:
    (folder / name).write_bytes(b"weights")
    return folder / name


def resnet50(**settings: Any) -> HandlerSpec:
    return HandlerSpec(architecture="resnet50", **settings)


def cache(root: Path) -> Path:
    return root.parent / "home" / "hub" / "checkpoints"


def test_explicit_path_comes_first_as_seen_from_where_the_user_stands(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(root / "weights", V2)
    mine = put(tmp_path, "mine.pth")
    monkeypatch.chdir(tmp_path)

    assert lookup.find(root, "resnet50", resnet50(), Path("mine.pth")).path.resolve() == mine.resolve()
    with pytest.raises(WeightsError, match=r"other\.pth: no such file"):
        lookup.find(root, "resnet50", resnet50(), Path("other.pth"))


def test_path_in_the_yaml_then_weights_then_the_cache(root: Path) -> None:
    spec = resnet50(weights="best.pth")
    with pytest.raises(WeightsError, match=r"no weights for net: put best\.pth into .*weights or .*checkpoints"):
        lookup.find(root, "net", spec)

    in_cache = put(cache(root), "best.pth")
    assert lookup.find(root, "net", spec) == lookup.Found(
        in_cache, hashlib.sha256(b"weights").hexdigest(), "best.pth"
    )
    in_project = put(root / "weights", "best.pth")
    found = lookup.find(root, "net", spec)
    assert found.path == in_project
    assert (
        found.note == f"{in_project} is taken, for weights/ comes before torch hub's cache; also there: {in_cache}"
    )
    put(root, "best.pth")
    assert lookup.find(root, "net", spec).path == root / "best.pth"


@pytest.mark.parametrize("name", ["IMAGENET1K_V1", "ResNet50_Weights.IMAGENET1K_V1", "weights/" + V1, V1])
def test_entry_or_its_file_brings_its_own_transform(name: str, root: Path) -> None:
    put(root / "weights", V1)
    put(root / "weights", V2)

    found = lookup.find(root, "net", resnet50(weights=name))

    assert found.path.name == V1
    assert found.origin == "ResNet50_Weights.IMAGENET1K_V1"
    assert entries.transform(resnet50(weights=name), found.entry).resize == 256  # the default entry's is 232


def test_nothing_named_takes_the_models_own_file_then_the_default_entry(root: Path) -> None:
    v1 = put(cache(root), V1)
    assert lookup.find(root, "net", resnet50()).origin == "ResNet50_Weights.IMAGENET1K_V1"

    v2 = put(cache(root), V2)
    found = lookup.find(root, "net", resnet50())
    assert found.path == v2
    assert found.note == f"{v2} is taken, for IMAGENET1K_V2 comes first of what was found; also there: {v1}"

    own = put(root / "weights", "net.safetensors")
    found = lookup.find(root, "net", resnet50())
    assert found.path == own
    assert "for it is named after the model" in found.note


def test_the_same_file_twice_is_no_choice(root: Path) -> None:
    put(cache(root), V2)
    (root / "weights" / V2).symlink_to(cache(root) / V2)

    assert lookup.find(root, "net", resnet50()).note == ""


def test_missing_entry_says_how_to_get_it(root: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        lookup.find(root, "resnet50", resnet50())

    message = str(caught.value)
    assert "visionserve weights resnet50" in message
    assert f"put {V2} into {root / 'weights'} or {cache(root)}" in message
    assert "https://download.pytorch.org/models/resnet50-11ad3fa6.pth" in message


def test_unknown_entry_lists_those_there_are(root: Path) -> None:
    with pytest.raises(
        SpecError, match=r"no weights entry 'IMAGENET1K_V3' .* it has IMAGENET1K_V2, IMAGENET1K_V1"
    ):
        lookup.find(root, "net", resnet50(weights="IMAGENET1K_V3"))
    with pytest.raises(
        SpecError, match=r"no weights entry 'IMAGENET1K_FEATURES' that classifies; .* IMAGENET1K_V1$"
    ):
        lookup.find(root, "net", HandlerSpec(architecture="vgg16", weights="IMAGENET1K_FEATURES"))


def test_directory_is_no_weights_file(root: Path) -> None:
    (root / "weights" / "best.pth").mkdir()

    with pytest.raises(WeightsError, match=r"best\.pth: is a directory; name the weights file inside it"):
        lookup.find(root, "net", resnet50(weights="best.pth"))


def test_links_that_go_in_a_circle_are_one_line(root: Path) -> None:
    circle = root / "weights" / "net.pt"
    circle.symlink_to(circle)
    with pytest.raises(WeightsError, match=r"net\.pt: cannot be read: Too many levels of symbolic links"):
        lookup.find(root, "net", resnet50())

    mine = put(root / "weights", "net.pth")
    found = lookup.find(root, "net", resnet50())
    assert found.path == mine
    assert str(circle) in found.note
