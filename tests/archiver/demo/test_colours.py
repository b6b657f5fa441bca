"""What the demo knows without a download, and when its archives are built again."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from PIL import Image

from visionserve.archiver.demo import colours

if TYPE_CHECKING:
    from pathlib import Path


def test_there_is_one_example_of_each_colour_and_its_name_says_which() -> None:
    examples = colours.examples()
    assert [example.truth for example in examples] == list(colours.HUES)
    for example in examples:
        assert example.name == f"{example.truth}.jpg"
        assert example.accepted == (example.truth,)
        assert Image.open(io.BytesIO(example.data)).format == "JPEG"


def test_an_archive_is_current_until_anything_it_was_built_from_is_newer(tmp_path: Path) -> None:
    archive, weights, source = (tmp_path / name for name in ("net.mar", "net.pth", "net.yaml"))
    weights.touch()
    source.touch()
    assert not colours.is_current(archive, [weights, source])
    archive.touch()
    later = archive.stat().st_mtime + 10
    os.utime(archive, (later, later))
    assert colours.is_current(archive, [weights, source])
    os.utime(source, (later + 1, later + 1))
    assert not colours.is_current(archive, [weights, source])
