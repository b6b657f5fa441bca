"""The fast way from a JPEG to the input, held against torchvision's own transform on Pillow's decoding."""

from __future__ import annotations

import functools
import io
import struct
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from tests.support.pictures.encoding import scan_bomb

from visionserve.runtime.model import Transform
from visionserve.runtime.pictures import decode, fit, jpeg
from visionserve.runtime.proof import drawing
from visionserve.runtime.wire.errors import InvalidImage, RequestError

if TYPE_CHECKING:
    import numpy.typing as npt

SPEC = Transform(resize=232, crop=224, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
LIMIT = 50_000_000


@functools.lru_cache(maxsize=2)  # drawing a large one takes a second, and neighbouring cases ask for the same
def drawn(seed: int, width: int, height: int) -> Image.Image:
    return drawing.photograph(seed, width, height)


def photograph(seed: int, width: int, height: int, orientation: int = 1, mode: str = "RGB") -> bytearray:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    drawn(seed, width, height).convert(mode).save(buffer, "JPEG", quality=90, exif=exif)
    return bytearray(buffer.getvalue())


def lossless(side: int, comment: bytes | None = None) -> bytearray:
    """A grey square as a lossless JPEG (ITU-T T.81, process 14): every difference 0, whose code is one 0 bit."""

    def segment(marker: int, content: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content

    frame = struct.pack(">BHHB", 8, side, side, 3) + b"".join(bytes([part, 0x11, 0]) for part in (1, 2, 3))
    codes = bytes([0, 1, *[0] * 15, 0])
    scan = bytes([3, 1, 0, 2, 0, 3, 0, 1, 0, 0])
    first = [b"\xff\xd8"] if comment is None else [b"\xff\xd8", segment(0xFE, comment)]
    pieces = [*first, segment(0xEE, b"Adobe\0\x64\0\0\0\0\0"), segment(0xC3, frame), segment(0xC4, codes)]
    return bytearray(b"".join([*pieces, segment(0xDA, scan), bytes(-(-3 * side * side // 8)), b"\xff\xd9"]))


def fast(data: bytearray) -> npt.NDArray[np.int64]:
    return decode.prepare(data, LIMIT, SPEC, exact=False)[0].astype(int)


def exact(data: bytearray) -> npt.NDArray[np.int64]:
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    return fit.fit(upright, SPEC).astype(int)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("width", "height"), [(500, 375), (377, 501), (300, 1000), (800, 600)])
def test_an_ordinary_photograph_differs_by_one_of_255_at_most(
    width: int, height: int, orientation: int, mode: str
) -> None:
    data = photograph(width, width, height, orientation, mode)
    difference = np.abs(fast(data) - exact(data))
    assert difference.shape == (224, 224, 3)
    assert difference.max() <= 1
    # Pillow rounds between its two passes, and a picture on its side is resized before it is turned.
    assert difference.mean() < (0.01 if orientation < 5 and height < 2 * width else 0.3)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("orientation", [1, 2, 6, 7])
@pytest.mark.parametrize(
    ("width", "height"), [(2785, 3713), (2000, 1500), (1999, 1501), (1201, 1433), (930, 1400), (700, 933)]
)
def test_a_large_photograph_differs_by_little(width: int, height: int, orientation: int, mode: str) -> None:
    data = photograph(width, width, height, orientation, mode)
    difference = np.abs(fast(data) - exact(data))
    assert 0 < difference.mean() < 2.5
    assert difference.max() <= 24


def test_exact_is_torchvisions_transform_to_the_bit() -> None:
    data = photograph(1, 1201, 1433)
    assert np.array_equal(decode.prepare(data, LIMIT, SPEC, exact=True)[0], exact(data))


@pytest.mark.parametrize("kept", [0.2, 0.6, 0.95])
@pytest.mark.parametrize("size", [(500, 375), (2000, 1500)])
def test_a_photograph_cut_short_is_refused(size: tuple[int, int], kept: float) -> None:
    data = photograph(3, *size)
    with pytest.raises(InvalidImage, match="damaged or cut short"):
        decode.prepare(data[: int(len(data) * kept)], LIMIT, SPEC, exact=False)


@pytest.mark.parametrize("side", [300, 3000])
def test_a_lossless_jpeg_which_cannot_be_reduced_is_decoded(side: int) -> None:
    data = lossless(side)
    assert np.all(fast(data) == 128)
    assert not jpeg.takes(data, Image.open(io.BytesIO(data)), SPEC)


@pytest.mark.parametrize("comment", [b"\xff\xda", b"\xff\xd9", b"a\xff\xda\xff\xc0\xff\xd8b"])
def test_a_lossless_jpeg_is_known_whatever_a_comment_before_it_pretends(comment: bytes) -> None:
    data = lossless(3000, comment)
    assert not jpeg.takes(data, Image.open(io.BytesIO(data)), SPEC)
    assert np.all(fast(data) == 128)


@pytest.mark.parametrize(("version", "safe"), [("10.4.0", False), ("12.3.0", False), ("13.0.0", True)])
def test_a_decoder_that_could_be_made_to_corrupt_memory_is_not_trusted(
    version: str, safe: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("PIL.__version__", version)
    reason = jpeg.unsafe_decoder()
    assert (reason is None) == safe
    assert safe or f"Pillow {version} can corrupt memory" in str(reason)


def test_a_decoder_that_is_asked_to_reduce_a_lossless_jpeg_refuses() -> None:
    # Older ones write past the end of the picture's memory; see `jpeg.unsafe_decoder`.
    with pytest.raises(OSError, match="broken data stream"):
        jpeg.fit(Image.open(io.BytesIO(lossless(3000))), 1, SPEC)


@settings(max_examples=100, deadline=None)
@given(picture=st.sampled_from([photograph(6, 320, 240), photograph(7, 700, 933)]), data=st.data())
def test_no_damage_raises_anything_else(picture: bytearray, data: st.DataObject) -> None:
    damaged = bytearray(picture)
    for place in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=5)):
        damaged[place] = data.draw(st.integers(0, 255))
    try:
        shape = fast(damaged).shape
    except RequestError as error:
        assert error.status in (400, 413, 415)
    else:
        assert shape == (224, 224, 3)


def test_a_jpeg_of_too_many_scans_is_refused_before_any_is_decoded() -> None:
    with pytest.raises(InvalidImage, match="more than 64 scans"):
        fast(bytearray(scan_bomb(64)))


@pytest.mark.parametrize(
    ("mode", "size", "taken"),
    [
        ("RGB", (500, 375), True),
        ("CMYK", (500, 375), False),
        ("RGB", (200, 400), False),
        ("RGB", (300, 3000), False),
    ],
)
def test_only_what_the_fast_way_does_well_is_taken(mode: str, size: tuple[int, int], taken: bool) -> None:
    data = drawing.encode(Image.new(mode, size), "JPEG")
    assert jpeg.takes(data, Image.open(io.BytesIO(data)), SPEC) == taken
