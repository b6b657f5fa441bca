"""Labelled pictures are found in the usual layouts, and what is wrong with them is said."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionserve.evaluation import labelled, layouts
from visionserve.evaluation.errors import LabelledPicturesError
from visionserve.evaluation.labelled import LabelledPicture

FLOWERS = ("daisy", "Rose Garden", "tulip")


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def targets(source: Path, labels: tuple[str, ...] = FLOWERS) -> dict[str, int]:
    return {picture.path.name: picture.target for picture in labelled.read(source, labels).pictures}


def test_a_folder_has_one_subfolder_per_class(tmp_path: Path) -> None:
    touch(tmp_path, "tulip/a.jpg", "tulip/more/b.PNG", "daisy/c.webp", "daisy/notes.txt", "rose_garden/d.jpeg")
    assert targets(tmp_path) == {"a.jpg": 2, "b.PNG": 2, "c.webp": 0, "d.jpeg": 1}
    assert not labelled.read(tmp_path, FLOWERS).note


def test_what_tools_leave_behind_is_no_class_and_no_picture(tmp_path: Path) -> None:
    touch(
        tmp_path, ".ipynb_checkpoints/a.jpg", "__MACOSX/b.jpg", "daisy/.ipynb_checkpoints/c.jpg", "daisy/._d.jpg"
    )
    touch(tmp_path, "daisy/e.jpg")
    assert targets(tmp_path) == {"e.jpg": 0}


@pytest.mark.parametrize(
    "text",
    [
        "name,label\na.jpg,tulip\nb.jpg,daisy\n",
        "\ufefflabel;filename\ntulip;a.jpg\ndaisy;b.jpg\n",
        "a.jpg\ttulip\nb.jpg\tdaisy\n",
        "id,breed\na,tulip\nb,daisy\n",
        "label,photo\ntulip,a.jpg\ndaisy,b.jpg\n",
        'width,image_id,label\n5,"a",tulip\n6,"b",daisy\n',
    ],
    ids=[
        "header",
        "semicolons and a byte-order mark",
        "no header",
        "Kaggle's names without suffix",
        "an unknown name for the pictures",
        "more columns",
    ],
)
def test_a_csv_has_a_name_and_a_class_a_row(tmp_path: Path, text: str) -> None:
    touch(tmp_path, "pictures/a.jpg", "pictures/b.jpg")
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    assert targets(tmp_path) == targets(tmp_path / "labels.csv") == {"a.jpg": 2, "b.jpg": 0}


def test_class_indices_are_taken_for_what_they_are(tmp_path: Path) -> None:
    touch(tmp_path, "0/a.jpg", "2/b.jpg")
    found = labelled.read(tmp_path, FLOWERS)
    assert [picture.target for picture in found.pictures] == [0, 2]
    assert "class indices" in found.note


def test_a_model_without_names_takes_those_of_the_folders_as_imagefolder_does(tmp_path: Path) -> None:
    touch(tmp_path, "b/1.jpg", "a/2.jpg", "c/3.jpg")
    found = labelled.read(tmp_path, ("0", "1", "2"))
    assert {picture.path.parent.name: picture.target for picture in found.pictures} == {"a": 0, "b": 1, "c": 2}
    assert "sorted order: 'a' for class 0 to 'c' for class 2" in found.note


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "subfolder of pictures per class"),
        (["a.jpg"], "holds no pictures in subfolders"),
        (["train/daisy/a.jpg", "val/daisy/a.jpg"], "name one, such as"),
        (["a.csv", "b.csv"], "holds 2 CSV files"),
        (["daisy/a.jpg", "tulp/b.jpg"], "1 of its 2 classes are no labels of the model: 'tulp' (near 'tulip')"),
        (["dog/a.jpg", "wolf/b.jpg"], "none of its 2 classes ('dog', 'wolf') is one of the model's 3 labels"),
        (["0/a.jpg", "3/b.jpg"], "none of its 2 classes"),
    ],
)
def test_what_is_no_layout_is_said(tmp_path: Path, files: list[str], message: str) -> None:
    touch(tmp_path, *files)
    with pytest.raises(LabelledPicturesError) as caught:
        labelled.read(tmp_path, FLOWERS)
    assert message in str(caught.value)


def test_what_is_no_regular_file_is_no_picture(tmp_path: Path) -> None:
    touch(tmp_path, "daisy/a.jpg", "tulip/b.jpg")
    os.mkfifo(tmp_path / "tulip" / "pipe.png")
    (tmp_path / "daisy" / "gone.png").symlink_to(tmp_path / "nowhere.png")  # which is told when it is read
    assert sorted(path.name for path, _ in layouts.read(tmp_path)) == ["a.jpg", "b.jpg", "gone.png"]
    (tmp_path / "labels.csv").write_text("name,label\na,daisy\npipe.png,tulip\n")
    with pytest.raises(LabelledPicturesError, match=r"line 3: there is no picture 'pipe\.png'"):
        layouts.read(tmp_path)


@pytest.mark.parametrize("name", ["a\u2028b.jpg", "a\x0cb.jpg", "a\nb.jpg"])
def test_a_quoted_name_may_hold_what_ends_lines_elsewhere(tmp_path: Path, name: str) -> None:
    touch(tmp_path, name)
    (tmp_path / "labels.csv").write_text(f'name,label\n"{name}",daisy\n', encoding="utf-8")
    assert list(targets(tmp_path)) == [name]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,label\n\n\nz.jpg,tulip\n", "line 4: there is no picture 'z.jpg'"),
        ('name,label\na.jpg,"tu\nlip"\nz.jpg,tulip\n', "line 4: there is no picture 'z.jpg'"),
        ("name,label\nz\u2028y.jpg,tulip\n", "there is no picture 'z\u2028y.jpg'"),
        ("name,label\nz.jpg,tulip\n", "line 2: there is no picture 'z.jpg'"),
        ("name,label\na.jpg\n", "lacks a name or a class"),
        ("name,label\nb.jpg,tulip\n", "line 2: 'b.jpg' may be"),
        ("name,label\n", "no rows"),
        ("", "is empty"),
        ("just words\n", "has 1 columns"),
    ],
)
def test_what_is_wrong_with_a_csv_is_said_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    touch(tmp_path, "one/a.jpg", "one/b.jpg", "two/b.jpg")
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    with pytest.raises(LabelledPicturesError) as caught:
        labelled.read(tmp_path, FLOWERS)
    assert message in str(caught.value)
    assert "labels.csv" in str(caught.value)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(1, 60))
def test_a_part_of_the_pictures_has_as_many_of_each_class_as_can_be(of_class: list[int], most: int) -> None:
    pictures = [LabelledPicture(Path(f"{i:03}"), target) for i, target in enumerate(of_class)]
    chosen = labelled.evenly(pictures, most)
    assert len(set(chosen)) == len(chosen) == min(most, len(pictures))
    assert set(chosen) <= set(pictures)
    had, taken = Counter(of_class), Counter(picture.target for picture in chosen)
    cut = [target for target in had if taken[target] < had[target]]
    # No class is cut short while another has two more.
    assert all(max(taken.values()) - taken[target] <= 1 for target in cut)


def test_suffixes_are_those_of_pictures(tmp_path: Path) -> None:
    touch(tmp_path, *(f"a/b{suffix}" for suffix in layouts.SUFFIXES), "a/c.heic", "a/d.mar")
    assert {path.suffix for path in layouts.pictures_in(tmp_path)} == layouts.SUFFIXES


@pytest.mark.parametrize("text", ["missing.jpg,tulip\nb.jpg,daisy\n", "label,name\n,a.jpg\n"])
def test_a_row_without_picture_or_class_is_named(text: str, tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(LabelledPicturesError, match=r"line [12]"):
        targets(tmp_path)
