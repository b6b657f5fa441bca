"""TIFFs tag by tag, of kinds that no encoder writes."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# A tag with its type and values.
Tag = tuple[int, int, "Sequence[int]"]

SHORT, LONG = 3, 4
# In a tag's values: where the pixels begin.
PIXELS = -1

_CODES = {1: "B", SHORT: "H", LONG: "I", 16: "Q"}


def tiff(tags: Sequence[Tag], pixels: bytes = b"", *, big: bool = False) -> bytes:
    """A little-endian TIFF of these tags, its pixels at its end; `PIXELS` stands for their offset."""
    entry, inline, offset = ("<HHQ", 8, "<Q") if big else ("<HHI", 4, "<I")
    start = 16 if big else 8
    size = len(tags) * (struct.calcsize(entry) + inline)
    lists_at = start + (8 if big else 2) + size + inline
    sizes = [len(values) * struct.calcsize(f"<{_CODES[kind]}") for _, kind, values in tags]
    pixels_at = lists_at + sum(size for size in sizes if size > inline)
    entries, lists = b"", b""
    for tag, kind, values in tags:
        placed = [pixels_at if value == PIXELS else value for value in values]
        packed = struct.pack(f"<{len(values)}{_CODES[kind]}", *placed)
        if len(packed) > inline:
            lists += packed
            packed = struct.pack(offset, lists_at + len(lists) - len(packed))
        entries += struct.pack(entry, tag, kind, len(values)) + packed.ljust(inline, b"\0")
    head = b"II+\0\x08\0\0\0" + struct.pack("<Q", start) if big else b"II*\0" + struct.pack("<I", start)
    return head + struct.pack("<Q" if big else "<H", len(tags)) + entries + bytes(inline) + lists + pixels


def tiled(
    width: int, height: int, tile_width: int, tile_height: int, tiles: int = 1, *, big: bool = False
) -> bytes:
    """A grey TIFF whose tiles are all read from one place."""
    pixels = _zeros(min(tile_width * tile_height, 1 << 25))
    return tiff(
        [
            *_grey(width, height),
            (322, LONG, [tile_width]),
            (323, LONG, [tile_height]),
            (324, LONG, [PIXELS] * tiles),
            (325, LONG, [len(pixels)] * tiles),
        ],
        pixels,
        big=big,
    )


def stripped(rows: int, height: int, each: int) -> bytes:
    """A grey TIFF whose strips are all the same bytes, many more of them than a strip needs."""
    pixels, strips = _zeros(64) + bytes(each), height // rows
    return tiff(
        [
            *_grey(64, height),
            (273, LONG, [PIXELS] * strips),
            (278, LONG, [rows]),
            (279, LONG, [len(pixels)] * strips),
        ],
        pixels,
    )


def repeated(width: int, height: int, times: int, *, as_tiles: bool) -> bytes:
    """A grey TIFF without compression, whose strips or tiles, two of which would do, are so many.

    Pillow decodes each of them, at the top of the picture again and again, whatever their byte counts say.
    """
    strips = [(273, LONG, [PIXELS] * times), (278, LONG, [height - 1]), (279, LONG, [1] * times)]
    tiles = [
        (322, LONG, [width]),
        (323, LONG, [height - 1]),
        (324, LONG, [PIXELS] * times),
        (325, LONG, [1] * times),
    ]
    plain = [(tag, kind, [1] if tag == 259 else values) for tag, kind, values in _grey(width, height)]
    return tiff([*plain, *(tiles if as_tiles else strips)], bytes(width * height))


def _grey(width: int, height: int) -> list[Tag]:
    whole = [(256, LONG, [width]), (257, LONG, [height]), (258, SHORT, [8]), (259, SHORT, [8])]
    return [*whole, (262, SHORT, [1]), (277, SHORT, [1])]


@cache
def _zeros(size: int) -> bytes:
    return zlib.compress(bytes(size))
