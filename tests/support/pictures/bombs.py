"""Files that would keep a decoder busy, or fill its memory, for far longer than what they show is worth.

Each kind is made at any size, up to the largest body that is taken.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from tests.support.pictures.encoding import chunk, encoded, png
from tests.support.pictures.tiffs import LONG, PIXELS, SHORT, repeated, stripped, tiff, tiled
from tests.support.pictures.variant import Variant

if TYPE_CHECKING:
    from collections.abc import Callable

Kind = "Callable[[int], bytes]"

# As many pixels as the largest picture that is taken by default has.
SIDE = 7_000


def variants() -> tuple[Variant, ...]:
    """One of each kind whose structure alone tells, as large as shows it."""
    return tuple(Variant(name, make(700_000), 400, "InvalidImage") for name, make in STRUCTURES.items())


def _jpeg(side: int = 64, **options: object) -> bytes:
    return encoded(Image.new("RGB", (side, side), "green"), "JPEG", **options)


def _after_start(filler: bytes) -> Callable[[int], bytes]:
    """A JPEG with something again and again behind its first marker."""

    def make(size: int) -> bytes:
        jpeg = _jpeg()
        return jpeg[:2] + (size // len(filler)) * filler + jpeg[2:]

    return make


def _png(ahead: bytes = b"", behind: bytes = b"") -> Callable[[int], bytes]:
    def make(size: int) -> bytes:
        small, end = png(np.zeros((8, 8, 3), np.uint8), 2), chunk(b"IEND")
        header = 8 + 25
        many = size // len(ahead or behind)
        return small[:header] + many * ahead + small[header : -len(end)] + (many * behind if behind else b"") + end

    return make


def _gif(filler: bytes, head: bytes = b"", tail: bytes = b"") -> Callable[[int], bytes]:
    """A GIF with something again and again ahead of its first frame."""

    def make(size: int) -> bytes:
        gif = encoded(Image.new("P", (64, 64)), "GIF")
        frame = gif.index(b",")
        return gif[:frame] + head + (size // len(filler)) * filler + tail + gif[frame:]

    return make


def _riff(inside: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(inside)) + inside


def _webp_chunks(size: int) -> bytes:
    webp = encoded(Image.new("RGB", (8, 8), "green"), "WEBP", exif=b"Exif\0\0")
    return _riff(webp[8:] + (size // 8) * b"teST\0\0\0\0")


def _webp_frames(size: int) -> bytes:
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:])
    webp = buffer.getvalue()
    start = webp.index(b"ANMF")
    length = 8 + struct.unpack_from("<I", webp, start + 4)[0]
    frame = webp[start : start + length]
    return _riff(webp[8:start] + (size // length) * frame)


def _run_length_bmp(size: int) -> bytes:
    """Runs of no pixels, which are decoded one by one."""
    size = max(size, 2 << 20)
    header = struct.pack("<IiiHHIIiiII", 40, 64, 64, 1, 8, 1, size, 0, 0, 256, 0)
    offset = 14 + len(header) + 1024
    head = b"BM" + struct.pack("<IHHI", offset + size, 0, 0, offset)
    return head + header + bytes(1024) + b"\0\2\0\0" * (size // 4)


def _shared_strips(size: int) -> bytes:
    return stripped(rows=1, height=2_000, each=max(size // 4, 100_000))


def _repeated(*, as_tiles: bool) -> Callable[[int], bytes]:
    def make(size: int) -> bytes:
        side = math.isqrt(max(size - 200_000, 10_000))
        return repeated(side, side - 1, 20_000, as_tiles=as_tiles)

    return make


# Refused by their structure before anything of them is decoded.
STRUCTURES: dict[str, Callable[[int], bytes]] = {
    "png-chunks-ahead": _png(ahead=chunk(b"teST")),
    "png-chunks-behind": _png(behind=chunk(b"teST")),
    "png-data-in-nothing": _png(ahead=chunk(b"IDAT")),
    "png-frames": _png(behind=chunk(b"fcTL", bytes(26))),
    "jpeg-comments": _after_start(b"\xff\xfe\0\2"),
    "jpeg-restarts": _after_start(b"\xff\xd0"),
    "jpeg-fill": _after_start(b"\xff"),
    "jpeg-junk": _after_start(b"\1"),
    "jpeg-stuffed": _after_start(b"\xff\0"),
    "jpeg-tables": _after_start(b"\xff\xdb\0\x43\0" + bytes([1] * 64)),
    "jpeg-application": _after_start(b"\xff\xe5\0\2"),
    "gif-comments": _gif(b"\1x", b"!\xfe", b"\0"),
    "gif-extensions": _gif(b"!\xfe\0"),
    "gif-controls": _gif(b"!\xf9\4\0\0\0\0\0"),
    "gif-junk": _gif(b"\1"),
    "webp-chunks": _webp_chunks,
    "bmp-runs": _run_length_bmp,
    "tiff-large-tile": lambda _: tiled(16, 16, 4096, 8192),
    "tiff-shared-tiles": lambda _: tiled(128, 16, 16, 1_000_000, tiles=8),
    "tiff-zero-picture": lambda _: tiled(0, 0, 65_535, 65_535),
    "tiff-shared-strips": _shared_strips,
    "tiff-repeated-strips": _repeated(as_tiles=False),
    "tiff-repeated-tiles": _repeated(as_tiles=True),
    "tiff-offsets": lambda size: tiff([(256, LONG, [8]), (257, LONG, [8]), (273, LONG, [8] * (size // 4))]),
    "tiff-offsets-of-bytes": lambda size: tiff([(256, LONG, [8]), (257, LONG, [8]), (273, 1, [8] * size)]),
    "tiff-bits-per-sample": lambda size: tiff(
        [(256, LONG, [8]), (257, LONG, [8]), (258, SHORT, [8] * (size // 2))]
    ),
    "tiff-entries": lambda size: tiff([(40_000, LONG, [0])] * min(size // 12, 60_000)),
    "bigtiff-large-tile": lambda _: tiled(16, 16, 4096, 8192, big=True),
}


def _scans(count: int) -> Callable[[int], bytes]:
    """A progressive JPEG of 49 megapixels whose last scan comes again and again; 0 for as often as fits."""

    def make(size: int) -> bytes:
        jpeg = _jpeg(SIDE, progressive=True)
        last = jpeg[jpeg.rindex(b"\xff\xda") : -2]
        return jpeg[:-2] + (count or (size - len(jpeg)) // len(last)) * last + jpeg[-2:]

    return make


def _frame(kind: int, side: int = SIDE, sampling: int = 0x11, depth: int = 8) -> Callable[[int], bytes]:
    """A JPEG whose frame is of another kind (T.81, table B.1) than its data."""

    def make(_: int) -> bytes:
        jpeg = bytearray(_jpeg())
        at = jpeg.index(b"\xff\xc0")
        jpeg[at + 1] = kind
        jpeg[at + 4] = depth
        jpeg[at + 5 : at + 9] = struct.pack(">HH", side, side)
        jpeg[at + 11] = sampling
        return bytes(jpeg)

    return make


def _segments(marker: int, content: bytes) -> Callable[[int], bytes]:
    """A JPEG with as many whole segments of one kind as fit."""

    def make(size: int) -> bytes:
        segment = bytes([0xFF, marker]) + struct.pack(">H", 2 + len(content)) + content
        jpeg = _jpeg()
        return jpeg[:2] + max(1, (size - len(jpeg)) // len(segment)) * segment + jpeg[2:]

    return make


def _exif(size: int) -> bytes:
    """A directory of many entries, each as long as a segment may be."""
    entries = b"".join(struct.pack("<HHII", 0x9000 + index, 7, 60_000, 8) for index in range(4_000))
    block = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 4_000) + entries
    return _segments(0xE1, block)(min(size, 60_000))


def _pages(size: int) -> bytes:
    """A JPEG that says that very many others follow it (CIPA DC-007)."""
    count = 4_000
    entries = [(0xB000, 7, 4, 0x30303130), (0xB001, 4, 1, count), (0xB002, 7, 16 * count, 50)]
    index = b"II*\0\x08\0\0\0" + struct.pack("<H", 3) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return _segments(0xE2, b"MPF\0" + index + bytes(4) + bytes(16) * 4_000)(100)


def _inflating(kind: bytes, head: bytes) -> Callable[[int], bytes]:
    """PNG metadata that inflates a thousandfold."""

    def make(size: int) -> bytes:
        bomb = chunk(kind, head + zlib.compress(bytes(min(1000 * size, 100_000_000)), 9))
        return png(np.zeros((8, 8, 3), np.uint8), 2, chunks=(bomb,))

    return make


def _large_png(channels: int, dtype: type[np.generic], interlaced: bool = False) -> Callable[[int], bytes]:
    def make(_: int) -> bytes:
        colour_type = {1: 0, 3: 2, 4: 6}[channels]
        return png(np.zeros((SIDE, SIDE, channels), dtype), colour_type, interlaced)

    return make


def _noise_png(size: int) -> bytes:
    side = int((size / 3) ** 0.5)
    return encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)), "PNG")


def _large(image_format: str, mode: str = "RGB", **options: object) -> Callable[[int], bytes]:
    return lambda _: encoded(Image.new(mode, (SIDE, SIDE)), image_format, **options)


def _gif_clears(size: int) -> bytes:
    """Codes that only reset the decoder's table."""
    blocks = (size // 256) * (b"\xff" + b"\x01" * 255)
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", 64, 64, 0x80, 0, 0)
        + bytes(6)
        + b","
        + struct.pack("<HHHHB", 0, 0, 64, 64, 0)
        + b"\1"
        + blocks
        + b"\0;"
    )


def _gif_frames(size: int) -> bytes:
    gif = encoded(Image.new("P", (64, 64)), "GIF")
    frame = gif[gif.index(b",") : -1]
    return gif[:-1] + (size // len(frame)) * frame + b";"


def _jpeg_in_tiff(_: int) -> bytes:
    """Scans that are no JPEG's own, for the file is a TIFF."""
    data = _scans(50)(0)
    return tiff(
        [
            (256, LONG, [SIDE]),
            (257, LONG, [SIDE]),
            (258, SHORT, [8, 8, 8]),
            (259, SHORT, [7]),
            (262, SHORT, [6]),
            (273, LONG, [PIXELS]),
            (277, SHORT, [3]),
            (278, LONG, [SIDE]),
            (279, LONG, [len(data)]),
        ],
        data,
    )


def _looped_directories(_: int) -> bytes:
    data = bytearray(tiff([(256, LONG, [8]), (257, LONG, [8])]))
    data[-4:] = struct.pack("<I", 8)
    return bytes(data)


# What only decoding tells, if anything: answered, or refused when their decoder has used up what it may.
COSTLY: dict[str, Callable[[int], bytes]] = {
    "jpeg-scans-as-allowed": _scans(50),
    "jpeg-scans": _scans(0),
    "jpeg-lossless": _frame(0xC3),
    "jpeg-extended": _frame(0xC1),
    "jpeg-arithmetic": _frame(0xC9),
    "jpeg-arithmetic-progressive": _frame(0xCA),
    "jpeg-hierarchical": _frame(0xC5),
    "jpeg-12-bits": _frame(0xC1, depth=12),
    "jpeg-sampled-4x4": _frame(0xC0, sampling=0x44),
    "jpeg-65500": _frame(0xC0, side=65_500),
    "jpeg-huffman-tables": _segments(
        0xC4, b"".join(bytes([index % 2 << 4]) + bytes([1] * 16) + bytes(16) for index in range(1900))
    ),
    "jpeg-profile": _segments(0xE2, b"ICC_PROFILE\0\1\xff" + bytes(65_000)),
    "jpeg-exif": _exif,
    "jpeg-pages": _pages,
    "jpeg-photoshop": _segments(0xED, b"Photoshop 3.0\0" + 5_000 * b"8BIM\4\4\0\0\0\0\0\0"),
    "jpeg-cmyk": _large("JPEG", "CMYK", progressive=True),
    "png-profile": _inflating(b"iCCP", b"x\0\0"),
    "png-text": _inflating(b"zTXt", b"x\0\0"),
    "png-international-text": _inflating(b"iTXt", b"x\0\1\0\0\0"),
    "png-16-bits": _large_png(4, np.uint16),
    "png-interlaced": _large_png(3, np.uint8, interlaced=True),
    "png-palette": _large("PNG", "P"),
    "png-one-bit": _large("PNG", "1"),
    "png-noise": _noise_png,
    "gif-clears": _gif_clears,
    "gif-frames": _gif_frames,
    "gif-large": _large("GIF", "P"),
    "webp-frames": _webp_frames,
    "webp-lossless": _large("WEBP", lossless=True, method=0),
    "webp-metadata": lambda size: encoded(Image.new("RGB", (8, 8)), "WEBP", exif=b"Exif\0\0" + bytes(size)),
    "bmp-large": lambda _: encoded(Image.new("1", (SIDE, SIDE)), "BMP"),
    "bmp-short": lambda _: encoded(Image.new("RGB", (SIDE, SIDE)), "BMP")[:1000],
    "tiff-jpeg-scans": _jpeg_in_tiff,
    "tiff-lzw": _large("TIFF", compression="tiff_lzw"),
    "tiff-deflate": _large("TIFF", compression="tiff_adobe_deflate"),
    "tiff-loop": _looped_directories,
}
