"""A TIFF's directory, read for what its tiles and strips would cost before a decoder sees it.

Tiles may be larger than the picture, and many may be read from one place, so neither the picture's size nor the
file's bounds what decoding costs: 40 KB held a decoder for two minutes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

from visionserve.runtime.wire.errors import InvalidImage

if TYPE_CHECKING:
    from collections.abc import Iterator

# Baseline TIFF has about thirty. Pillow takes 4 us for one: 4 ms for these, where a BigTIFF of 20 MB would hold a
# million and take 4 s.
MAX_ENTRIES = 1_024
# Of one entry: tiles, strips and what else is a list. Pillow takes 3 us for a tile: 0.2 s for these.
MAX_VALUES = 65_536
# TIFF 6.0, section 20: a curve for each of three colours of 16 bits.
_TRANSFER_FUNCTION, MAX_TRANSFER_VALUES = 301, 3 << 16
# Tiles at the edges reach beyond the picture: four times its pixels leave room for tiles as large as the picture,
# and what is below this costs a decoder no more than a tenth of a second.
MAX_TILED_PIXELS = 1 << 24
_TILED_SHARE = 4
# How often strips or tiles may cover the picture. Colours that are stored apart do so once each; Pillow decodes
# what comes after them into the picture again: 20,000 strips of 20 megapixels without compression took 16 s.
MAX_LAYERS = 8
# Bytes that strips share are turned around anew for each where their bits are in the other order, which takes
# libtiff 0.2 ns a byte: 12 ms for these, where 65,536 strips of 20 MB would be 4 minutes. No encoder makes them
# share.
MAX_READ = 64 << 20
_READ_SHARE = 2

# TIFF 6.0, section 2, and BigTIFF: types of whole numbers; libtiff takes all of them for sizes.
_WHOLE = {1: "B", 6: "B", 3: "H", 8: "H", 4: "I", 9: "I", 13: "I", 16: "Q", 17: "Q", 18: "Q"}
# Bytes, text and what has no type: colour profiles and metadata, which are not read one by one.
_OPAQUE = {1, 2, 6, 7}
# Lists that Pillow or libtiff goes through whatever their type: bits per sample, offsets, byte counts, colours,
# extra samples, sample formats.
_LISTS = {258, 273, 279, 320, 324, 325, 338, 339}
_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 322, 323
_STRIPS, _STRIP_ROWS, _STRIP_BYTES = 273, 278, 279
_TILES, _TILE_BYTES = 324, 325
_READ = {
    *(_WIDTH, _HEIGHT, _TILE_WIDTH, _TILE_HEIGHT),
    *(_STRIPS, _STRIP_ROWS, _STRIP_BYTES, _TILES, _TILE_BYTES),
}


@dataclass(frozen=True)
class _Layout:
    """Where things are in a classic TIFF or a BigTIFF: formats of `struct`, sizes in bytes."""

    order: str
    first: int
    count: str
    entry: str
    inline: int
    offset: str

    def read(self, code: str, data: bytes | bytearray, at: int) -> tuple[int, ...]:
        values: tuple[int, ...] = struct.unpack_from(self.order + code, data, at)
        return values


@dataclass
class _Directory:
    """The values of the tags that matter; all of those of a tag that is there twice."""

    values: dict[int, list[int]] = field(default_factory=dict)

    def least(self, tag: int) -> int:
        return min(self.values.get(tag, [0]), default=0)

    def most(self, tag: int) -> int:
        return max(self.values.get(tag, [0]), default=0)


def require_sane_tiff(data: bytes | bytearray) -> None:
    """Refuse a TIFF whose first directory asks for more work than its picture has.

    Raises:
        InvalidImage: Its directory or a list in it is too long, its tiles together are far larger than the
            picture, its strips or tiles cover it again and again, or they share the file's bytes.
    """
    directory = _Directory()
    try:
        for tag, found in _entries(data):
            directory.values.setdefault(tag, []).extend(found)
    except struct.error:
        return  # cut short: the decoder says so
    _require_tiles(directory)
    _require_few_layers(directory)
    read = sum(directory.values.get(_STRIP_BYTES, [])) + sum(directory.values.get(_TILE_BYTES, []))
    if read > max(MAX_READ, _READ_SHARE * len(data)):
        raise InvalidImage(f"the TIFF's strips or tiles are {read} bytes together in a file of {len(data)}")


def _require_tiles(directory: _Directory) -> None:
    tile_width, tile_height = directory.most(_TILE_WIDTH), directory.most(_TILE_HEIGHT)
    if not (tile_width and tile_height):
        return
    width, height = directory.least(_WIDTH), directory.least(_HEIGHT)
    across, down = (
        ceil(size / max(1, directory.least(tag))) for size, tag in ((width, _TILE_WIDTH), (height, _TILE_HEIGHT))
    )
    tiled = max(1, across * down) * tile_width * tile_height
    if tiled > max(MAX_TILED_PIXELS, _TILED_SHARE * width * height):
        raise InvalidImage(
            f"the TIFF's tiles of {tile_width}x{tile_height} are {tiled} pixels together"
            f" for a picture of {width}x{height}; save it with smaller tiles"
        )


def _require_few_layers(directory: _Directory) -> None:
    width, height = directory.least(_WIDTH), directory.least(_HEIGHT)
    # Without rows per strip one strip is all of the picture.
    strips = ceil(height / (directory.most(_STRIP_ROWS) or max(1, height)))
    across, down = (
        ceil(size / max(1, directory.most(tag))) for size, tag in ((width, _TILE_WIDTH), (height, _TILE_HEIGHT))
    )
    for what, tag, one_layer in (("strips", _STRIPS, strips), ("tiles", _TILES, across * down)):
        count, allowed = len(directory.values.get(tag, [])), MAX_LAYERS * max(1, one_layer)
        if count > allowed:
            raise InvalidImage(
                f"the TIFF has {count} {what}, where {allowed} are allowed for a picture of {width}x{height};"
                " save it again as an ordinary one"
            )


def _entries(data: bytes | bytearray) -> Iterator[tuple[int, list[int]]]:
    """Tag and values of the entries that matter.

    Raises:
        InvalidImage: See `require_sane_tiff`.
        struct.error: The file ends too early.
    """
    layout = _layout(data)
    (start,) = layout.read(layout.offset, data, layout.first)
    (entries,) = layout.read(layout.count, data, start)
    if entries > MAX_ENTRIES:
        raise InvalidImage(f"the TIFF's directory has {entries} entries, where {MAX_ENTRIES} are allowed")
    at = start + struct.calcsize(layout.order + layout.count)
    size = struct.calcsize(layout.order + layout.entry)
    for entry in range(at, at + entries * size, size):
        tag, kind, count = layout.read(layout.entry, data, entry)[:3]
        most = MAX_TRANSFER_VALUES if tag == _TRANSFER_FUNCTION else MAX_VALUES
        if count > most and (tag in _LISTS or kind not in _OPAQUE):
            raise InvalidImage(f"the TIFF's tag {tag} has {count} values, where {most} are allowed")
        if tag in _READ and kind in _WHOLE:
            yield (
                tag,
                _values(data, layout, entry + size - layout.inline, f"{min(count, MAX_VALUES)}{_WHOLE[kind]}"),
            )


def _values(data: bytes | bytearray, layout: _Layout, at: int, code: str) -> list[int]:
    if struct.calcsize(layout.order + code) > layout.inline:
        (at,) = layout.read(layout.offset, data, at)
    try:
        return list(layout.read(code, data, at))
    except (struct.error, OverflowError):
        return []  # a decoder has nothing to read there either, and leaves the tag out


def _layout(data: bytes | bytearray) -> _Layout:
    order = "<" if data[:2] == b"II" else ">"
    if 43 in data[2:4]:
        return _Layout(order, first=8, count="Q", entry="HHQ8s", inline=8, offset="Q")
    return _Layout(order, first=4, count="H", entry="HHI4s", inline=4, offset="I")
