"""What is sent, and what a right answer is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image

from visionserve.load.errors import LoadError
from visionserve.load.sending import corpus

if TYPE_CHECKING:
    from pathlib import Path

    from visionserve.archiver.builder import Built

MODEL = "demo-resnet18"


def learned(model: str, data: bytes) -> str:
    return f"{model} of {len(data)}"


@pytest.fixture
def archives(demo_archives: dict[str, Built]) -> dict[str, Path]:
    return {name: built.archive.path for name, built in demo_archives.items()}


def test_golden_answers_come_from_the_archive_and_others_from_the_idle_server(archives: dict[str, Path]) -> None:
    sent = corpus.build(archives, {MODEL: 1}, learned)
    assert {picture.kind for picture in sent.pictures} == {"golden", "formats", "large"}
    for picture in sent.pictures:
        if picture.kind == "golden":
            assert picture.answers[MODEL] <= {"red", "orange", "yellow", "green", "cyan", "blue", "magenta"}
        else:
            assert picture.answers[MODEL] == {learned(MODEL, picture.data)}
    assert sum(picture.weight for picture in sent.pictures) == pytest.approx(1)


def test_the_mix_and_the_share_of_bad_pictures_are_kept(archives: dict[str, Path]) -> None:
    sent = corpus.build(
        archives, {MODEL: 3, "demo-resnet18-224": 1}, learned, {"golden": 3, "large": 1}, bad_share=0.2
    )
    weights: dict[str, float] = {}
    for picture in sent.pictures:
        weights[picture.kind] = weights.get(picture.kind, 0) + picture.weight
        assert set(picture.answers) == (set() if picture.is_bad else {MODEL, "demo-resnet18-224"})
    assert weights == pytest.approx({"golden": 0.6, "large": 0.2, "bad": 0.2})


def test_pictures_have_several_sizes_and_formats(archives: dict[str, Path], tmp_path: Path) -> None:
    sent = corpus.build(archives, {MODEL: 1}, learned)
    sent.write(tmp_path)
    opened = []
    for picture in sent.pictures:
        with Image.open(tmp_path / picture.name) as image:
            opened.append((image.format, image.mode, image.size))
    assert {kind for kind, _, _ in opened} == {"JPEG", "PNG", "WEBP"}
    assert {mode for _, mode, _ in opened} == {"RGB", "L", "CMYK", "RGBA", "P"}
    assert max(size for _, _, size in opened) == (2000, 1500)


def test_a_corpus_is_the_same_each_time_and_survives_the_disk(archives: dict[str, Path], tmp_path: Path) -> None:
    one = corpus.build(archives, {MODEL: 1}, learned, bad_share=0.1)
    two = corpus.build(archives, {MODEL: 1}, learned, bad_share=0.1)
    assert one.digest == two.digest
    one.write(tmp_path)
    assert corpus.read(tmp_path) == one
    assert corpus.build(archives, {MODEL: 1}, learned).digest != one.digest


def test_pictures_of_ones_own_are_sent_too(archives: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "mine.jpg").write_bytes(b"mine")
    sent = corpus.build(archives, {MODEL: 1}, learned, {"golden": 1}, own=tmp_path)
    mine = [picture for picture in sent.pictures if picture.kind == "own"]
    assert [(picture.name, picture.data, picture.weight) for picture in mine] == [("own-mine.jpg", b"mine", 0.5)]


def test_a_changed_file_is_noticed(archives: dict[str, Path], tmp_path: Path) -> None:
    corpus.build(archives, {MODEL: 1}, learned, {"golden": 1}).write(tmp_path)
    next(tmp_path.glob("*.png")).write_bytes(b"changed")
    with pytest.raises(LoadError, match="is not the file that the index names"):
        corpus.read(tmp_path)


@pytest.mark.parametrize(
    ("mix", "said"), [({"cats": 1}, "kind 'cats'"), ({"golden": 0}, "mix is empty"), ({"own": 1}, "need a folder")]
)
def test_impossible_mixes_are_refused(mix: dict[str, float], said: str, archives: dict[str, Path]) -> None:
    with pytest.raises(LoadError, match=said):
        corpus.build(archives, {MODEL: 1}, learned, mix)
