from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from tests.support.pictures import bombs, corpus, readable
from tests.support.pictures.encoding import chunk, encoded, picture, png
from tests.support.pictures.tiffs import repeated

from visionserve.runtime.pictures import gate, tiff
from visionserve.runtime.wire.errors import InvalidImage

if TYPE_CHECKING:
    from tests.support.pictures.variant import Variant


@pytest.mark.parametrize("bomb", bombs.variants(), ids=lambda bomb: bomb.name)
def test_a_bomb_is_refused_before_it_is_opened(bomb: Variant) -> None:
    with pytest.raises(InvalidImage, match=r"more than \d+|are allowed|together"):
        gate.require_bounded(bomb.data, corpus.MAX_PIXELS)


@pytest.mark.parametrize("variant", readable.variants(), ids=lambda variant: variant.name)
def test_what_encoders_write_passes(variant: Variant) -> None:
    gate.require_bounded(variant.data, corpus.MAX_PIXELS)


def test_as_many_chunks_as_are_allowed_pass() -> None:
    ends = 3  # IHDR, IDAT and IEND
    allowed = (chunk(b"teST"),) * (gate.MAX_PNG_CHUNKS - ends)
    pixels = np.zeros((8, 8, 3), np.uint8)
    gate.require_bounded(png(pixels, 2, chunks=allowed), corpus.MAX_PIXELS)
    with pytest.raises(InvalidImage, match="more than 16384 chunks"):
        gate.require_bounded(png(pixels, 2, chunks=(*allowed, chunk(b"teST"))), corpus.MAX_PIXELS)


@pytest.mark.parametrize("side", [16, 256, 1024])
@pytest.mark.parametrize("size", [(90, 70), (3000, 20), (2000, 1500)])
def test_tiles_as_encoders_write_them_pass(side: int, size: tuple[int, int]) -> None:
    gate.require_bounded(
        encoded(Image.new("RGB", size), "TIFF", compression="tiff_lzw", tiffinfo={322: side, 323: side}), 3_000_000
    )


@pytest.mark.parametrize("rows", [1, 7, 70, 1 << 31])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_strips_as_encoders_write_them_pass(rows: int, mode: str) -> None:
    gate.require_bounded(encoded(Image.new(mode, (90, 70)), "TIFF", tiffinfo={278: rows}), corpus.MAX_PIXELS)
    gate.require_bounded(
        encoded(Image.new(mode, (90, 70)), "TIFF", compression="tiff_lzw", tiffinfo={278: rows}), corpus.MAX_PIXELS
    )


@pytest.mark.parametrize("as_tiles", [True, False])
def test_strips_and_tiles_that_cover_the_picture_a_few_times_pass(as_tiles: bool) -> None:
    gate.require_bounded(repeated(50, 40, 2 * tiff.MAX_LAYERS, as_tiles=as_tiles), corpus.MAX_PIXELS)
    with pytest.raises(InvalidImage, match=r"17 (strips|tiles), where 16 are allowed for a picture of 50x40"):
        gate.require_bounded(repeated(50, 40, 2 * tiff.MAX_LAYERS + 1, as_tiles=as_tiles), corpus.MAX_PIXELS)


def test_what_cameras_put_behind_a_picture_is_not_looked_at() -> None:
    video = np.random.default_rng(0).bytes(8_000_000)
    assert video.count(b"\xff\xda") > gate.MAX_JPEG_SCANS
    gate.require_bounded(encoded(picture(), "JPEG") + video, corpus.MAX_PIXELS)
    gate.require_bounded(encoded(picture(), "JPEG", progressive=True) + video, corpus.MAX_PIXELS)


def test_a_colour_profile_of_megabytes_passes() -> None:
    gate.require_bounded(encoded(picture(), "JPEG", icc_profile=bytes(4_000_000)), corpus.MAX_PIXELS)
    gate.require_bounded(encoded(picture(), "TIFF", icc_profile=bytes(4_000_000)), corpus.MAX_PIXELS)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF"])
def test_what_is_cut_short_is_left_to_the_decoder(kind: str) -> None:
    data = encoded(picture(), kind)
    for end in range(min(len(data), 400)):
        gate.require_bounded(data[:end], corpus.MAX_PIXELS)


def test_the_curves_of_a_tiff_of_16_bits_pass() -> None:
    curves = {301: tuple(range(1 << 16)) * 3}
    gate.require_bounded(encoded(picture(), "TIFF", tiffinfo=curves), corpus.MAX_PIXELS)
    with pytest.raises(InvalidImage, match="tag 301 has 196609 values, where 196608 are allowed"):
        gate.require_bounded(encoded(picture(), "TIFF", tiffinfo={301: (*curves[301], 0)}), corpus.MAX_PIXELS)
