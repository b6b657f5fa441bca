"""What a picture would cost beside its pixels, judged by its structure before anything of it is decoded.

Pillow reads the parts of a file one by one in Python, holding the interpreter lock, so a file of nothing but tiny
parts keeps a worker busy for seconds and its neighbours waiting. Each walk here follows Pillow's and ends at its
bound, so it costs at most some milliseconds. What is cut short or no such file is left for the decoder to refuse.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from PIL.JpegImagePlugin import MARKER

from visionserve.runtime.pictures.tiff import require_sane_tiff
from visionserve.runtime.wire.errors import ImageTooLarge, InvalidImage

if TYPE_CHECKING:
    from collections.abc import Callable

# Pillow takes 8 us for a chunk: 0.13 s for these. libpng writes chunks of 8 KiB, so 20 MB of pixels are 2,500.
MAX_PNG_CHUNKS = 16_384
# 2.5 us each. A large colour profile is 255 segments, and cameras write some tens more.
MAX_JPEG_SEGMENTS = 4_096
# Bytes between segments, 0.5 us each. Encoders that align segments write a few.
MAX_JPEG_FILL = 4_096
# A progressive JPEG costs a pass over all its pixels per scan, and an empty scan is 75 bytes: 0.7 ns a pixel and
# scan, so 20 MB of them on 50 megapixels would be hours. Encoders write about ten.
MAX_JPEG_SCANS = 64
# Of extensions ahead of the first frame, at most 255 bytes each. Pillow takes up to 0.35 us for one: 1.5 ms for
# these, where 20 MB of comments would be 1.3 s. XMP of 64 KB is 256.
MAX_GIF_BLOCKS = 4_096
# Pillow decodes runs in Python, 0.35 us a byte.
MAX_BMP_RUNS = 1 << 20

# An animation's frames and what is beside them; the first frame is all that is decoded. libwebp takes 35 ns for
# one: 0.6 ms for these, where 20 MB of them would be 0.06 s. What it bounds is this walk, 0.3 us for each.
MAX_WEBP_CHUNKS = 16_384

_PNG = b"\x89PNG\r\n\x1a\n"
_CHUNK = struct.Struct(">I")
_CHUNK_FRAME = 12
_RIFF = struct.Struct("<4sI")
# ITU-T T.81, table B.1. In coded data 0xFF is followed by 0, by a restart marker or by another 0xFF.
_START_OF_SCAN = 0xFFDA
_END, _ALONE = 0xD9, (0x01, 0xD8)
_AFTER_DATA = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_STUFFED = 0xFF00
_GIF_HEADER = 13
_RUNS = (1, 2)


def require_bounded(data: bytes | bytearray, max_pixels: int) -> None:
    """Refuse a picture whose structure costs more than any encoder would make it cost.

    Args:
        data: The encoded picture, or what is sent for one.
        max_pixels: The most pixels it may have.

    Raises:
        InvalidImage: It has too many parts; the message says of what and how many are allowed.
        ImageTooLarge: Opening it alone would take the memory of more pixels.
    """
    for magic, check in _CHECKS:
        if data.startswith(magic):
            check(data)
    if data.startswith(b"RIFF"):
        _webp(data, max_pixels)


def require_pixels(width: int, height: int, max_pixels: int) -> None:
    """Refuse a picture that is too large.

    Raises:
        ImageTooLarge: It is.
    """
    if width * height > max_pixels:
        raise ImageTooLarge(
            f"the image is {width}x{height}, {width * height} pixels, where {max_pixels} are allowed"
        )


def _require(kind: str, what: str, count: int, limit: int) -> None:
    if count > limit:
        raise InvalidImage(f"the {kind} has more than {limit} {what}; save it again as an ordinary one")


def _png(data: bytes | bytearray) -> None:
    at, chunks = len(_PNG), 0
    while at + _CHUNK.size <= len(data):
        chunks += 1
        _require("PNG", "chunks", chunks, MAX_PNG_CHUNKS)
        at += _CHUNK_FRAME + _CHUNK.unpack_from(data, at)[0]


def _jpeg(data: bytes | bytearray) -> None:
    """To the end of the picture; what cameras put behind it, a video for one, is not looked at.

    Which markers ahead of the first scan have a length is looked up where Pillow does, lest the two part ways.
    """
    at, segments, fill = 0, 0, 0
    while at + 1 < len(data):
        if data[at] != 0xFF or data[at + 1] == 0xFF:
            at, fill = at + 1, fill + 1
            _require("JPEG", "bytes between its segments", fill, MAX_JPEG_FILL)
            continue
        marker = 0xFF00 | data[at + 1]
        segments += 1
        _require("JPEG", "segments", segments, MAX_JPEG_SEGMENTS)
        if marker == _START_OF_SCAN:
            _jpeg_scans(data, at, segments)
        if marker == _START_OF_SCAN or (marker not in MARKER and marker != _STUFFED):
            return
        at += 2
        if marker != _STUFFED and MARKER[marker][2] is not None:
            at += int.from_bytes(data[at : at + 2], "big")


def _jpeg_scans(data: bytes | bytearray, first: int, segments: int) -> None:
    """From the first scan on."""
    at, scans = first, 0
    while (found := _AFTER_DATA.search(data, at)) is not None and data[found.start() + 1] != _END:
        at, marker = found.end(), data[found.start() + 1]
        scans += marker == _START_OF_SCAN & 0xFF
        segments += 1
        _require("JPEG", "scans", scans, MAX_JPEG_SCANS)
        _require("JPEG", "segments", segments, MAX_JPEG_SEGMENTS)
        if marker not in _ALONE:
            at += int.from_bytes(data[at : at + 2], "big")


def _gif(data: bytes | bytearray) -> None:
    """Up to the first frame."""
    at, blocks = _GIF_HEADER, 0
    if len(data) > at and data[10] & 0x80:
        at += 3 << ((data[10] & 7) + 1)
    while at < len(data) and data[at : at + 1] not in (b",", b";"):
        blocks += 1
        _require("GIF", "blocks ahead of its first frame", blocks, MAX_GIF_BLOCKS)
        if data[at : at + 1] != b"!":
            at += 1
            continue
        at += 2
        while at < len(data) and data[at]:
            blocks += 1
            _require("GIF", "blocks ahead of its first frame", blocks, MAX_GIF_BLOCKS)
            at += 1 + data[at]
        at += 1


def _webp(data: bytes | bytearray, max_pixels: int) -> None:
    """Pillow makes the whole canvas of an animation as it opens it, so its size is read here."""
    if data[8:16] == b"WEBPVP8X":
        width, height = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
        require_pixels(width, height, max_pixels)
    at, chunks = 12, 0
    while at + _RIFF.size <= len(data):
        chunks += 1
        _require("WebP", "chunks", chunks, MAX_WEBP_CHUNKS)
        size = _RIFF.unpack_from(data, at)[1]
        at += _RIFF.size + size + size % 2


def _bmp(data: bytes | bytearray) -> None:
    # BITMAPINFOHEADER and its successors: biCompression at 16 bytes into the header, which is at 14.
    if int.from_bytes(data[30:34], "little") in _RUNS:
        _require("run-length coded BMP", "bytes", len(data), MAX_BMP_RUNS)


_CHECKS: tuple[tuple[bytes, Callable[[bytes | bytearray], None]], ...] = (
    (b"\xff\xd8", _jpeg),
    (_PNG, _png),
    (b"GIF8", _gif),
    (b"BM", _bmp),
    (b"II", require_sane_tiff),
    (b"MM", require_sane_tiff),
)
