"""The pictures that the benchmark sends."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from benchmarks import corpus

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["224x224", "500x375"])
def test_a_picture_has_its_kinds_pixels_and_nearly_its_bytes(name: str) -> None:
    kind = corpus.KINDS[name]
    data = corpus.draw(kind, seed=3)
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == ("JPEG", (kind.width, kind.height))
    assert len(data) == pytest.approx(kind.size, rel=0.12)


def test_pictures_are_drawn_once_and_differ(tmp_path: Path) -> None:
    kind = corpus.KINDS["224x224"]
    paths = corpus.write(kind, tmp_path)
    assert len({path.read_bytes() for path in paths}) == kind.count
    before = [path.stat().st_mtime_ns for path in paths]
    assert [path.stat().st_mtime_ns for path in corpus.write(kind, tmp_path)] == before
    assert corpus.draw(kind, seed=0) == paths[0].read_bytes()
