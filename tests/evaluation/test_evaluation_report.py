"""An evaluation's report: what it says, that a thousand classes fit on it, and how a browser shows it."""

from __future__ import annotations

import html
import json
import os
import re
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from tests.evaluation import recordings
from tests.support import browser as browsers

from visionserve.evaluation import report
from visionserve.evaluation.report import thumbnails
from visionserve.runtime.pictures import decode

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

SHARES = (0.95, 0.9, 0.99, 0.6, 1, 0.8, 0.97)
# Labels that are no HTML, and long.
NAMES = (
    "magenta",
    "Rose <b>of a long name & more</b>",
    "<i>tulip",
    "MMMMMMMMMM",
    "ひまわり向日葵蒲公英百合",
    "orchid",
    "lily",
)


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """A report by the number of classes; that of seven compares two models and shows pictures."""
    root = tmp_path_factory.mktemp("evaluations")
    few, other = (
        replace(recordings.answers(SHARES, 30, seed, folder=root), labels=NAMES, model=model)
        for seed, model in ((0, "flowers"), (1, "flowers-int8"))
    )
    recordings.draw(few)
    shares = [0.5 + 0.5 * ((37 * index) % 100) / 100 for index in range(1000)]
    many = recordings.answers(shares, 4)
    return {
        7: report.write(recordings.trial(few, other, root), root / "7"),
        1000: report.write(recordings.trial(many, None, root), root / "1000"),
    }


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.with_suffix(".json").read_text())
    return document


def test_it_begins_with_what_was_found(reports: dict[int, Path]) -> None:
    document = read(reports[7])
    right = sum(row["class"] == row["answer"] for row in document["pictures"])
    assert (document["top1"]["count"], document["top1"]["of"]) == (right, 210)
    assert document["sentence"].startswith(
        f"flowers is right about {100 * right / 210:.1f} % of 210 pictures of 7 c"
    )
    (heading,) = re.findall(r"<h1>(.*?)</h1>", reports[7].read_text())
    assert html.unescape(heading) == document["sentence"]


def test_all_that_was_answered_is_in_the_json(reports: dict[int, Path]) -> None:
    document = read(reports[1000])
    assert len(document["pictures"]) == sum(cell["count"] for cell in document["confusion"]) == 4000
    assert len(document["classes"]) == 1000
    assert document["top5"]["count"] >= document["top1"]["count"]
    (refused,) = document["refused"]
    assert (refused["status"], refused["type"], refused["count"]) == (400, "InvalidImage", 1)
    assert refused["pictures"][0]["file"].endswith("broken.jpg")


def test_labels_are_shown_as_they_are(reports: dict[int, Path]) -> None:
    page = reports[7].read_text()
    assert "<b>of a long name" not in page
    assert "<i>tulip" not in page
    assert all(html.escape(name) in page for name in NAMES)


def test_a_thousand_classes_are_one_page(reports: dict[int, Path]) -> None:
    page = reports[1000].read_text()
    assert len(page) < 300_000
    wide, narrow = re.findall(r'<svg class="matrix".*?</svg>', page)
    assert (wide.count('class="cell a"'), narrow.count('class="cell a"')) == (20, 8)
    assert "the worst 30 of 1,000" in page
    assert "report.json has all 1,000" in page


def test_a_picture_that_is_gone_or_broken_has_no_thumbnail(tmp_path: Path) -> None:
    assert thumbnails.of(tmp_path / "gone.jpg") == ""
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    assert thumbnails.of(tmp_path / "broken.jpg") == ""


def test_a_file_whose_name_is_no_text_is_reported(tmp_path: Path) -> None:
    answered = recordings.answers(SHARES[:2], 5, folder=tmp_path / os.fsdecode(b"\xff"))
    page = report.write(recordings.trial(answered, None, tmp_path), tmp_path / "report")
    assert "\\udcff/class" in page.read_text(encoding="utf-8")
    assert read(page)["pictures"][0]["file"].startswith("\udcff")


@pytest.mark.parametrize(
    ("tag", "kind", "value"),
    [(282, 2, b"\0"), (700, 2, b"a\0"), (34377, 11, struct.pack("<f", 1))],
)
def test_damaged_metadata_ends_no_report(tag: int, kind: int, value: bytes, tmp_path: Path) -> None:
    entries = [struct.pack("<HHIHH", 274, 3, 1, 6, 0), struct.pack("<HHI4s", tag, kind, 1, value)]
    block = b"II*\0\x08\0\0\0" + struct.pack("<H", 2) + b"".join(entries) + bytes(4)
    Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg", exif=b"Exif\0\0" + block)
    decode.decode((tmp_path / "a.jpg").read_bytes(), 10_000)  # it is answered
    thumbnails.of(tmp_path / "a.jpg")


@pytest.mark.slow
@pytest.mark.parametrize("classes", [7, 1000])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_it_whole_quietly_and_offline(
    classes: int, width: int, scheme: Any, reports: dict[int, Path], browser: Browser
) -> None:
    assert browsers.look(browser, reports[classes], width, scheme) == 4
