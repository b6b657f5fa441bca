"""Writers of picture files, of kinds that Pillow cannot write too."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

from PIL import Image

from visionserve.archiver.demo import colours

if TYPE_CHECKING:
    import numpy.typing as npt

ORIENTATION = 0x0112


def picture(width: int = 90, height: int = 70, colour: str = "green") -> Image.Image:
    """A colour picture."""
    return Image.open(io.BytesIO(colours.picture(colour, 3))).convert("RGB").resize((width, height))


def encoded(image: Image.Image, image_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def seen(data: bytes) -> Image.Image:
    """A file as Pillow alone shows it."""
    return Image.open(io.BytesIO(data)).convert("RGB")


def png(
    samples: npt.NDArray[Any], colour_type: int, interlaced: bool = False, chunks: tuple[bytes, ...] = ()
) -> bytes:
    """A PNG that Pillow cannot write: 16 bits in colour, or interlaced (Adam7). `samples` is `[H, W, C]`."""
    height, width, _ = samples.shape
    depth = 8 * samples.dtype.itemsize
    adam7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    passes = adam7 if interlaced else [(0, 0, 1, 1)]
    parts = [samples[top::down, left::right] for top, left, down, right in passes]
    big = samples.dtype.newbyteorder(">")
    rows = b"".join(b"\0" + row.astype(big).tobytes() for part in parts if part.size for row in part)
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, int(interlaced))
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            *chunks,
            chunk(b"IDAT", zlib.compress(rows)),
            chunk(b"IEND"),
        ]
    )


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def exif(orientation: int) -> bytes:
    block = Image.Exif()
    block[ORIENTATION] = orientation
    return block.tobytes()


def scan_bomb(scans: int = 1000, side: int = 1000) -> bytes:
    """A progressive JPEG whose last scan comes again and again: 75 bytes for a pass over all pixels."""
    jpeg = encoded(Image.new("RGB", (side, side), "green"), "JPEG", progressive=True)
    last = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    return jpeg[:-2] + scans * last + jpeg[-2:]
