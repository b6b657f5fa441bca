"""Labels from every form, one for each class of the head."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visionserve.archiver.errors import LabelsError
from visionserve.archiver.models import labels

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.txt", "tabby cat\n\n  tiger \r\nhen\n"),
        ("labels.txt", "\ufefftabby cat\ntiger\nhen"),
        ("index_to_name.json", '{"0": "tabby cat", "2": "hen", "1": "tiger"}'),
        ("index_to_name.json", '{"0": ["n1", "tabby cat"], "1": ["n2", "tiger"], "2": ["n3", "hen"]}'),
        ("labels.json", '["tabby cat", "tiger", "hen"]'),
    ],
)
def test_forms(name: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")

    assert labels.read(path) == ["tabby cat", "tiger", "hen"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("labels.txt", " \n", r"holds no labels; write one label a line"),
        ("labels.txt", "cat\n\x1b[31mhen\n", r"label '\\x1b\[31mhen' holds control characters; remove them"),
        ("labels.txt", "ca\0t\nhen\n", r"holds control characters"),
        ("labels.txt", "cat\u2028\ud7ffhen\n", r"label 'cat\\u2028.*hen' holds control characters"),
        ("labels.json", "{", r"is not JSON"),
        ("labels.json", "3", r"holds a int"),
        ("labels.json", '{"cat": 0}', r"key 'cat' is no class index"),
        ("labels.json", '{"0": "cat", "2": "hen"}', r"class 1 has no label, though there are 2 entries"),
        ("labels.json", '{"0": "cat", "00": "hen"}', r"class 1 has no label"),
        ("labels.json", '{"0": ["n1", "cat", 3]}', r"class 0 is \['n1', 'cat', 3\]"),
        ("labels.json", '["cat", ""]', r"class 1 is ''"),
    ],
)
def test_bad_file_is_refused_in_one_line(name: str, text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text)

    with pytest.raises(LabelsError, match=message) as caught:
        labels.read(path)

    assert "\n" not in str(caught.value)


def test_missing_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(LabelsError, match="cannot be read as labels"):
        labels.read(tmp_path / "none.txt")
    (tmp_path / "labels.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LabelsError, match="is no text in UTF-8"):
        labels.read(tmp_path / "labels.txt")


def test_count_must_be_the_heads() -> None:
    labels.require_count(["a", "b"], 2, "labels.txt")
    with pytest.raises(LabelsError, match=r"^labels\.txt: 2 labels, but the weights' head has 7 classes$"):
        labels.require_count(["a", "b"], 7, "labels.txt")


def test_imagenets_two_cranes() -> None:
    assert labels.distinct(["crane", "hen", "crane"]) == ["crane (0)", "hen", "crane (2)"]


@given(st.lists(st.sampled_from(["crane", "crane (0)", "crane (1)", "crane (0) (0)", "hen"]), max_size=8))
def test_distinct_labels_never_clash(names: list[str]) -> None:
    told_apart = labels.distinct(names)

    assert len(set(told_apart)) == len(names)
    assert all(new.startswith(old) for new, old in zip(told_apart, names, strict=True))


def test_index_to_name_of_any_size(tmp_path: Path) -> None:
    path = tmp_path / "index_to_name.json"
    path.write_text(json.dumps({str(index): f"class {index}" for index in reversed(range(1000))}))

    assert labels.read(path) == [f"class {index}" for index in range(1000)]
