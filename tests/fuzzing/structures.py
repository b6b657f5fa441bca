"""Pictures taken apart into what their formats are made of, and put together wrongly.

A byte changed at random is mostly caught by the first check of a decoder; a chunk twice, a segment of another
length or a tag of another type, in a file that is whole otherwise, comes much further.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

_EXTREMES = (0, 1, 2, 3, 8, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)
_TIFF_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}


def restructured(data: bytes, rng: random.Random) -> bytes:
    """A picture with one to four of its parts wrong; one of no known format as it is."""
    for magic, take_apart in _FORMATS:
        if data.startswith(magic):
            return take_apart(data, rng)
    return data


def _shuffled(parts: list[bytes], rng: random.Random, change: Callable[[bytes], bytes]) -> list[bytes]:
    """The parts with some of them lost, repeated, exchanged or changed."""
    parts = list(parts)
    for _ in range(rng.randint(1, 4)):
        if not parts:
            break
        place = rng.randrange(len(parts))
        kind = rng.randrange(6)
        if kind == 0:
            del parts[place]
        elif kind == 1:
            parts[place:place] = [parts[place]] * rng.choice([1, 1, 2, 20])
        elif kind == 2:
            other = rng.randrange(len(parts))
            parts[place], parts[other] = parts[other], parts[place]
        else:
            parts[place] = change(parts[place])
    return parts


def _content(content: bytes, rng: random.Random) -> bytes:
    """The inside of a part: a number in it extreme, a byte changed, or cut or grown."""
    changed = bytearray(content)
    kind = rng.randrange(5)
    place = rng.randrange(len(changed) + 1)
    if kind == 0:
        code = rng.choice([">H", "<H", ">I", "<I"])
        size = struct.calcsize(code)
        changed[place : place + size] = struct.pack(code, rng.choice(_EXTREMES) % (1 << 8 * size))
    elif kind == 1 and place < len(changed):
        changed[place] ^= 1 << rng.randrange(8)
    elif kind == 2:
        del changed[place:]
    elif kind == 3:
        changed[place:place] = rng.randbytes(rng.choice([1, 4, 300]))
    else:
        changed[place : place + 8] = changed[:8]
    return bytes(changed)


def _png(data: bytes, rng: random.Random) -> bytes:
    chunks, at = [], 8
    while at + 12 <= len(data):
        size = struct.unpack_from(">I", data, at)[0]
        chunks.append(data[at + 4 : at + 8 + size])
        at += 12 + size

    def change(chunk: bytes) -> bytes:
        kind = rng.choice(
            [chunk[:4]] * 6 + [b"IDAT", b"PLTE", b"tRNS", b"fdAT", b"acTL", b"iCCP", b"eXIf", b"IHDR"]
        )
        return kind + _content(chunk[4:], rng)

    written = bytearray()  # thousands of parts are joined
    for chunk in _shuffled(chunks, rng, change):
        size = len(chunk) - 4 if rng.random() < 0.95 else rng.choice(_EXTREMES)
        crc = zlib.crc32(chunk) if rng.random() < 0.95 else 0
        written += struct.pack(">I", max(size, 0)) + chunk + struct.pack(">I", crc)
    return bytes(data[:8] + written)


def _jpeg(data: bytes, rng: random.Random) -> bytes:
    segments, at = [], 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        size = struct.unpack_from(">H", data, at + 2)[0]
        segments.append(data[at + 1 : at + 2] + data[at + 4 : at + 2 + size])
        at += 2 + size
    rest = data[at:]

    def change(segment: bytes) -> bytes:
        marker = rng.choice(
            [segment[0]] * 6 + [*range(0xC0, 0xD0), 0xDB, 0xDD, 0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xFE]
        )
        return bytes([marker]) + _content(segment[1:], rng)

    written = bytearray()  # thousands of parts are joined
    for segment in _shuffled(segments, rng, change):
        size = len(segment) + 1 if rng.random() < 0.95 else rng.choice(_EXTREMES)
        written += b"\xff" + segment[:1] + struct.pack(">H", size % (1 << 16)) + segment[1:]
    if rng.random() < 0.3:
        rest = _content(rest[:20], rng) + rest[20:]
    if rng.random() < 0.1:
        rest = rest[:-2] * rng.choice([2, 10]) + rest[-2:]
    return bytes(data[:2] + written + rest)


def _riff(data: bytes, rng: random.Random) -> bytes:
    chunks, at = [], 12
    while at + 8 <= len(data):
        size = struct.unpack_from("<I", data, at + 4)[0]
        chunks.append(data[at : at + 4] + data[at + 8 : at + 8 + size])
        at += 8 + size + size % 2

    def change(chunk: bytes) -> bytes:
        kinds = [b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"EXIF", b"ICCP"]
        return rng.choice([chunk[:4]] * 6 + kinds) + _content(chunk[4:], rng)

    inside = bytearray()
    for chunk in _shuffled(chunks, rng, change):
        size = len(chunk) - 4 if rng.random() < 0.95 else rng.choice(_EXTREMES)
        inside += chunk[:4] + struct.pack("<I", max(size, 0)) + chunk[4:] + b"\0" * (len(chunk) % 2)
    return b"RIFF" + struct.pack("<I", len(inside) + 4) + b"WEBP" + bytes(inside)


def _gif(data: bytes, rng: random.Random) -> bytes:
    head = 13 + (3 << ((data[10] & 7) + 1) if len(data) > 10 and data[10] & 0x80 else 0)
    blocks, at = [], head
    while at < len(data):
        size = data[at] + 1
        blocks.append(data[at : at + size])
        at += size
    return _content(data[:head], rng) + b"".join(_shuffled(blocks, rng, lambda block: _content(block, rng)))


def _tiff(data: bytes, rng: random.Random) -> bytes:
    order = "<" if data[:2] == b"II" else ">"
    start = struct.unpack_from(order + "I", data, 4)[0]
    if start + 2 > len(data):
        return data
    count = struct.unpack_from(order + "H", data, start)[0]
    entries = [data[start + 2 + 12 * index : start + 14 + 12 * index] for index in range(count)]

    def change(entry: bytes) -> bytes:
        if len(entry) < 12:
            return entry
        tag, kind, values, value = struct.unpack(order + "HHII", entry)
        field = rng.randrange(4)
        if field == 0:
            tag = rng.choice(
                [256, 257, 258, 259, 262, 273, 277, 278, 279, 317, 320, 322, 323, 324, 325, 338, 34675]
            )
        elif field == 1:
            kind = rng.choice([*_TIFF_SIZES, 0, 13, 16, 99])
        elif field == 2:
            values = rng.choice(_EXTREMES)
        else:
            value = rng.choice([*_EXTREMES, len(data), start])
        return struct.pack(order + "HHII", tag, kind, values, value)

    changed = b"".join(_shuffled(entries, rng, change))
    size = len(changed) // 12 if rng.random() < 0.95 else rng.choice(_EXTREMES)
    # A directory of another size would move what follows it, so it is put at the end.
    directory = struct.pack(order + "H", size % (1 << 16)) + changed + bytes(4)
    return data[:4] + struct.pack(order + "I", len(data)) + data[8:] + directory


def _bmp(data: bytes, rng: random.Random) -> bytes:
    head = bytearray(data[:54])
    for _ in range(rng.randint(1, 3)):
        place = rng.choice([10, 14, 18, 22, 26, 28, 30, 34, 46, 50])
        head[place : place + 4] = struct.pack("<I", rng.choice(_EXTREMES))
    return bytes(head) + data[54:]


_FORMATS: tuple[tuple[bytes, Callable[[bytes, random.Random], bytes]], ...] = (
    (b"\x89PNG", _png),
    (b"\xff\xd8", _jpeg),
    (b"RIFF", _riff),
    (b"GIF8", _gif),
    (b"II*\0", _tiff),
    (b"MM\0*", _tiff),
    (b"BM", _bmp),
)
