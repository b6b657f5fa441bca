"""Pictures of every format x mode x size x damage, each with the pixels or the refusal it must get."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from visionserve.archiver import demo
from visionserve.runtime.pictures import formats

MAX_PIXELS = 1_000_000

_ORIENTATION = 0x0112
# EXIF orientation -> how a picture that is stored so differs from the upright one.
_STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}

# 64x48, written by libjpeg-turbo's cjpeg -arithmetic, for Pillow writes none; its twin is jpegtran's, of the same
# coefficients in Huffman coding.
_ARITHMETIC = """\
/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAoHBwgHBgoICAgLCgoLDhgQDg0NDh0VFhEYIx8lJCIfIiEmKzcvJik0KSEiMEExNDk7Pj4+JS5ESU
M8SDc9Pjv/2wBDAQoLCw4NDhwQEBw7KCIoOzs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozv/yQARCAAw
AEADASIAAhEBAxEB/8wACgAQEAUBEBEF/9oADAMBAAIRAxEAPwD9KcR0Hxfbz102mgJd5LLQuAsgjxdLZAkXUfpyxT+QJIE7oOhaW3wVWz0iB5
KLewlBisNwhZMvmMS2bUN+HwiraPV+5799DOg0HVZAtj9H7FrMB2Q98HPFrrzUDFdiWJE09mWz9QZ+iTyROasEFNiABpv4cvThPUW9BUMoupIO
CFWHLk6F4MrWuxSRHi53R3laSUeY1Gx4XRglaBXzeqfytgoyozntdK9UwN/fKCosk4607bzM97tio++kO30rGl+nvcLcLfqWmVwONywLt8i+bU
8mf56P422og36/DO9CO/sNitn4NHIK2mhEzwfV9PlcJr+Bu1D7hI0HTE/UnfOIMmJo+bLqcFnHNWJKofzZJ/STw3tE9nRg2ATyJZezrL1NsLdP
vN063LGsQPECP9q30VF8Xr/1lqOEd6FvM7KCTMMe88B054dVhS7fkWddMY+qTnAJsV9vVuVYBaorkTUoCpUNEc4660mWbNP1Hs8sh2HYm7HeX6
Vl5hTASf6q8Ek9RmMEkpFt5uKmjH5HknkuvwalDzIEBMC7b9hgRq4n/IFY/gQXpvfv/Fj/2Q==
"""
_HUFFMAN = """\
/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAoHBwgHBgoICAgLCgoLDhgQDg0NDh0VFhEYIx8lJCIfIiEmKzcvJik0KSEiMEExNDk7Pj4+JS5ESU
M8SDc9Pjv/2wBDAQoLCw4NDhwQEBw7KCIoOzs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozs7Ozv/wAARCAAw
AEADASIAAhEBAxEB/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhBy
JxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKT
lJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/8QAHwEAAwEBAQEBAQEBAQAAAA
AAAAECAwQFBgcICQoL/8QAtREAAgECBAQDBAcFBAQAAQJ3AAECAxEEBSExBhJBUQdhcRMiMoEIFEKRobHBCSMzUvAVYnLRChYkNOEl8RcYGRom
JygpKjU2Nzg5OkNERUZHSElKU1RVVldYWVpjZGVmZ2hpanN0dXZ3eHl6goOEhYaHiImKkpOUlZaXmJmaoqOkpaanqKmqsrO0tba3uLm6wsPExc
bHyMnK0tPU1dbX2Nna4uPk5ebn6Onq8vP09fb3+Pn6/9oADAMBAAIRAxEAPwCCLAIzINvb3qR7gLEDg7ffrUTWfQ+nc1GC5JUglfU18dZPU/Pe
WMncR3ZW3kj8Ka8SGIlz8x6EinoilCTxn1NREt5pBfHPCmtEaryJFQrh8gED9KA7S5U9fbvSFTt3buSeuc/pTVlaM8KQaLXC1xv2Z1QkHKn17V
IkqRLiTG7tjvUb3MjcZHPTjrTDGbliWXH05qrN/EXZte8XpJ5NoY4B68dKRNzqWHG7tTIVOCAS3+9WiNLuYbD7XIoMWN3XkD1qFBtPlV7Gcacp
J8ivYoyqdnygBvQ9qokmRjuBJq4375jh+nUmn+UAAVHOCc+lKL5RRlyrUqhSo3kjB5GaYZyxYEjBpzpKxwBwe4qIoyEKOnfHWtFZmys9xnkEkF
XwD1zT0jmiHJPTrUhT5huyOM5zQ4cn5sc9QBVc1x8zehfgUrvCnd60+Rpvs5hMjlP4V3HaPwpF2pyCQo9T1qSeRIgGbr/s965eZp6HHzyUtOpR
a2baCJCPcdqmafykwVzn9Kru+GIEhXHTIqIsHG7cDnrWvLfc25XLceZlbOCQp/nUTsFfuQfQdKeqnaNoAalKMnLZwematWRorIazquC2N3fIqF
pWJPlOR2yB1qZ4TIDzkd6g8lAm3q2aqNi48p//2Q==
"""


@dataclass(frozen=True)
class Variant:
    """One picture and what must become of it.

    Attributes:
        name: Format, mode, size and damage.
        data: The file.
        status: The HTTP status of its answer.
        type: The error's type, or None.
        pixels: What it shows, where it can be read.
    """

    name: str
    data: bytes
    status: int = 200
    type: str | None = None
    pixels: Image.Image | None = None


def picture(width: int = 90, height: int = 70, colour: str = "green") -> Image.Image:
    """A colour picture."""
    return Image.open(io.BytesIO(demo.picture(colour, 3))).convert("RGB").resize((width, height))


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
    block[_ORIENTATION] = orientation
    return block.tobytes()


@cache
def variants() -> tuple[Variant, ...]:
    """The whole corpus."""
    return (
        *_lossless(),
        *_lossy(),
        *_oriented(),
        *_shapes(),
        *_too_large(),
        *_damaged(),
        *_without_range(),
        *_other_kinds(),
    )


def _good(name: str, data: bytes, pixels: Image.Image | None = None) -> Variant:
    return Variant(name, data, pixels=seen(data) if pixels is None else pixels)


def _lossless() -> list[Variant]:
    """Files whose pixels are known without decoding them."""
    colour = picture()
    grey = colour.convert("L")
    rgb, single = np.asarray(colour), np.asarray(grey)[..., None]
    alpha = np.broadcast_to(np.arange(90, dtype=np.uint8)[None, :, None], (70, 90, 1))
    rgba, grey_alpha = Image.fromarray(np.dstack([rgb, alpha])), Image.fromarray(np.dstack([single, alpha]))
    palette, bits = colour.quantize(64), grey.convert("1")
    wide = rgb.astype(np.uint16) << 8 | 0x7F
    cmyk = colour.convert("CMYK")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    animation = [colour, colour.transpose(Image.Transpose.ROTATE_180)]
    shown = palette.convert("RGB")
    return [
        _good("png-rgb", encoded(colour, "PNG"), colour),
        _good("png-rgba", encoded(rgba, "PNG"), colour),
        _good("png-grey", encoded(grey, "PNG"), grey.convert("RGB")),
        _good("png-grey-alpha", encoded(grey_alpha, "PNG"), grey.convert("RGB")),
        _good("png-1bit", encoded(bits, "PNG"), bits.convert("RGB")),
        _good("png-palette", encoded(palette, "PNG"), shown),
        _good("png-palette-transparent", encoded(palette, "PNG", transparency=bytes(range(64))), shown),
        _good("png-palette-one-transparent", encoded(palette, "PNG", transparency=3), shown),
        _good("png-palette-4bit", encoded(colour.quantize(16), "PNG", bits=4), colour.quantize(16).convert("RGB")),
        _good("png-grey16", encoded(Image.fromarray(wide[..., 0].copy()), "PNG"), _grey(rgb[..., 0])),
        _good("png-rgb16", png(wide, 2), colour),
        _good("png-rgba16", png(np.dstack([wide, wide[..., :1]]), 6), colour),
        _good("png-grey-alpha16", png(np.dstack([wide[..., :1], wide[..., :1]]), 4), _grey(rgb[..., 0])),
        _good("png-rgb-interlaced", png(rgb, 2, interlaced=True), colour),
        _good("png-grey-interlaced", png(single, 0, interlaced=True), grey.convert("RGB")),
        _good("png-rgb16-interlaced", png(wide, 2, interlaced=True), colour),
        _good("png-icc", encoded(colour, "PNG", icc_profile=profile), colour),
        _good("png-animated", encoded(colour, "PNG", save_all=True, append_images=animation[1:]), colour),
        _good("gif-palette", encoded(palette, "GIF"), shown),
        _good("gif-grey", encoded(grey, "GIF"), grey.convert("RGB")),
        _good("gif-transparent", encoded(palette, "GIF", transparency=5), shown),
        _good("gif-interlaced", encoded(palette, "GIF", interlace=1), shown),
        _good("gif-animated", encoded(palette, "GIF", save_all=True, append_images=[palette.rotate(90)]), shown),
        _good("webp-lossless", encoded(colour, "WEBP", lossless=True), colour),
        _good("webp-lossless-rgba", encoded(rgba, "WEBP", lossless=True, exact=True), colour),
        _good(
            "webp-animated", encoded(colour, "WEBP", lossless=True, save_all=True, append_images=animation), colour
        ),
        _good("bmp-rgb", encoded(colour, "BMP"), colour),
        _good("bmp-palette", encoded(palette, "BMP"), shown),
        _good("bmp-grey", encoded(grey, "BMP"), grey.convert("RGB")),
        _good("bmp-1bit", encoded(bits, "BMP"), bits.convert("RGB")),
        _good("bmp-rgba", encoded(rgba, "BMP"), colour),
        _good("tiff-rgb", encoded(colour, "TIFF"), colour),
        _good("tiff-rgb-lzw", encoded(colour, "TIFF", compression="tiff_lzw"), colour),
        _good("tiff-rgb-deflate", encoded(colour, "TIFF", compression="tiff_adobe_deflate"), colour),
        _good("tiff-rgb-packbits", encoded(colour, "TIFF", compression="packbits"), colour),
        _good("tiff-rgba", encoded(rgba, "TIFF"), colour),
        _good("tiff-grey", encoded(grey, "TIFF"), grey.convert("RGB")),
        _good("tiff-palette", encoded(palette, "TIFF"), shown),
        _good("tiff-1bit", encoded(bits, "TIFF"), bits.convert("RGB")),
        _good("tiff-grey16", encoded(Image.fromarray(wide[..., 0].copy()), "TIFF"), _grey(rgb[..., 0])),
        _good("tiff-cmyk", encoded(cmyk, "TIFF"), cmyk.convert("RGB")),
        _good("tiff-pages", encoded(colour, "TIFF", save_all=True, append_images=animation[1:]), colour),
    ]


def _grey(values: npt.NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(np.repeat(values[..., None], 3, axis=2))


def _lossy() -> list[Variant]:
    colour = picture()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    jpeg = encoded(colour, "JPEG", quality=90)
    cmyk = encoded(colour.convert("CMYK"), "JPEG", quality=95)
    return [
        _good("jpeg-420", jpeg),
        _good("jpeg-444", encoded(colour, "JPEG", subsampling=0)),
        _good("jpeg-grey", encoded(colour.convert("L"), "JPEG")),
        _good("jpeg-progressive", encoded(colour, "JPEG", progressive=True)),
        _good("jpeg-restarts", encoded(colour, "JPEG", restart_marker_rows=1)),
        _good("jpeg-arithmetic", base64.b64decode(_ARITHMETIC), seen(base64.b64decode(_HUFFMAN))),
        _good("jpeg-cmyk-adobe-inverted", cmyk),
        _good("jpeg-icc", encoded(colour, "JPEG", icc_profile=profile), seen(encoded(colour, "JPEG"))),
        _good("jpeg-comment", encoded(colour, "JPEG", comment=b"[METRICS]x|#y\n"), seen(encoded(colour, "JPEG"))),
        _good("jpeg-trailing-bytes", jpeg + b"more", seen(jpeg)),
        _good("jpeg-broken-exif", encoded(colour, "JPEG", exif=b"Exif\0\0MM\0*\0\0\xff\xff")),
        _good("jpeg-multi-picture", encoded(colour, "MPO", save_all=True, append_images=[colour.rotate(180)])),
        _good("webp-lossy", encoded(colour, "WEBP")),
        _good("webp-lossy-rgba", encoded(colour.convert("RGBA"), "WEBP")),
        _good("tiff-jpeg", encoded(colour, "TIFF", compression="jpeg")),
    ]


def _oriented() -> list[Variant]:
    colour = picture()
    made = []
    for orientation, turn in _STORED.items():
        stored = colour if turn is None else colour.transpose(turn)
        made.append(
            _good(f"png-orientation-{orientation}", encoded(stored, "PNG", exif=exif(orientation)), colour)
        )
    turned = colour.transpose(Image.Transpose.ROTATE_90)
    jpeg = seen(encoded(turned, "JPEG")).transpose(Image.Transpose.ROTATE_270)
    return [
        *made,
        _good("jpeg-orientation-6", encoded(turned, "JPEG", exif=exif(6)), jpeg),
        _good("webp-orientation-6", encoded(turned, "WEBP", lossless=True, exif=exif(6)), colour),
        _good("tiff-orientation-6", encoded(turned, "TIFF", tiffinfo={_ORIENTATION: 6}), colour),
        _good("png-orientation-9", encoded(colour, "PNG", exif=exif(9)), colour),
    ]


def _shapes() -> list[Variant]:
    sizes = [(1, 1), (2, 3), (1, 90), (90, 1), (900, 30), (30, 900), (1000, 1000)]
    return [_good(f"png-{w}x{h}", encoded(picture(w, h), "PNG"), picture(w, h)) for w, h in sizes]


def _too_large() -> list[Variant]:
    """One pixel row more than allowed, and headers that promise gigapixels."""
    over = Image.new("RGB", (1000, 1001), "green")
    kinds = ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"]
    made = [(f"{kind.lower()}-1000x1001", encoded(over, kind)) for kind in kinds]
    huge = struct.pack(">IIBBBBB", 200_000, 200_000, 8, 2, 0, 0, 0)
    made += [
        ("png-40-gigapixels", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", huge) + chunk(b"IDAT", b"x") + chunk(b"IEND")),
        ("png-elongated", encoded(Image.new("1", (2_000_000, 1)), "PNG")),
        ("webp-canvas", _webp_canvas(16_383)),
        ("gif-screen", _gif_screen(65_535)),
    ]
    return [Variant(name, data, 413, "ImageTooLarge") for name, data in made]


def _webp_canvas(side: int) -> bytes:
    """A small animated WebP whose canvas claims to be huge."""
    frame = encoded(Image.new("RGB", (8, 8), "red"), "WEBP")[12:]
    animated = struct.pack("<I", 10) + b"\x02\0\0\0" + 2 * (side - 1).to_bytes(3, "little")
    placed = bytes(6) + 2 * (7).to_bytes(3, "little") + (100).to_bytes(3, "little") + b"\0" + frame
    body = b"WEBPVP8X" + animated + b"ANIM" + struct.pack("<I", 6) + bytes(6)
    body += b"ANMF" + struct.pack("<I", len(placed)) + placed
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _gif_screen(side: int) -> bytes:
    small = encoded(Image.new("P", (8, 8)), "GIF")
    return small[:6] + struct.pack("<HH", side, side) + small[10:]


def _damaged() -> list[Variant]:
    colour = picture()
    whole = {kind: encoded(colour, kind) for kind in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")}
    whole["PROGRESSIVE"] = encoded(colour, "JPEG", progressive=True)
    whole["TIFF-LZW"] = encoded(colour, "TIFF", compression="tiff_lzw")
    made = [(f"{kind.lower()}-half", data[: len(data) // 2]) for kind, data in whole.items()]
    made += [(f"{kind.lower()}-header-only", data[:16]) for kind, data in whole.items()]
    broken = bytearray(whole["PNG"])
    broken[broken.index(b"IDAT") + 40] ^= 0xFF
    text = zlib.compress(bytes(80_000_000))
    bomb = chunk(b"zTXt", b"Comment\0\0" + text)
    profile = chunk(b"iCCP", b"profile\0\0" + text)
    samples = np.asarray(colour)
    made += [
        ("png-broken-data", bytes(broken)),
        ("png-text-bomb", png(samples, 2, chunks=(bomb,))),
        ("png-profile-bomb", png(samples, 2, chunks=(profile,))),
        ("jpeg-scan-bomb", scan_bomb()),
        ("noise", np.random.default_rng(0).bytes(5000)),
        ("text", b"these are words"),
        ("zeros", bytes(1000)),
    ]
    return [Variant(name, data, 400, "InvalidImage") for name, data in made]


def scan_bomb(scans: int = 1000) -> bytes:
    """A progressive JPEG whose last scan comes again and again: 75 bytes for a pass over all pixels."""
    jpeg = encoded(Image.new("RGB", (1000, 1000), "green"), "JPEG", progressive=True)
    last = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    return jpeg[:-2] + scans * last + jpeg[-2:]


def _without_range() -> list[Variant]:
    ramp = np.arange(90 * 70).reshape(70, 90)
    made = [
        ("tiff-float", encoded(Image.fromarray(ramp.astype(np.float32)), "TIFF")),
        ("tiff-int32", encoded(Image.fromarray(ramp.astype(np.int32)), "TIFF")),
        ("tiff-lab", encoded(ImageCms.applyTransform(picture(), _to_lab()) or picture(), "TIFF")),
    ]
    return [Variant(name, data, 400, "InvalidImage") for name, data in made]


def _to_lab() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")


def _other_kinds() -> list[Variant]:
    made = [(kind.replace(" ", "-"), magic + bytes(64)) for magic, kind in formats.MAGIC]
    made += [
        ("video", b"\0\0\0\x18ftypmp42" + bytes(64)),
        ("avif", b"\0\0\0\x18ftypavif" + bytes(64)),
        ("heic", b"\0\0\0\x18ftypheic" + bytes(64)),
        ("avi", b"RIFF\0\0\0\0AVI LIST" + bytes(64)),
        ("svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>'),
        ("svg-with-prolog", b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- drawn --><!-- twice -->\n<svg width="1">'),
        ("html", b"<!DOCTYPE html>\n<html><body>404</body></html>"),
        ("html-without-doctype", b"  <HTML><head></head>"),
    ]
    bits = picture().convert("1")
    made += [
        (f"tiff-{kind}", encoded(bits, "TIFF", compression=kind)) for kind in ("group3", "group4", "tiff_ccitt")
    ]
    return [Variant(f"other-{name}", data, 415, "UnsupportedFormat") for name, data in made]
