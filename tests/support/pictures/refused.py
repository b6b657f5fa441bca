"""Files that must be refused: too large, damaged, without a range of values, or no pictures."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from PIL import Image, ImageCms
from tests.support.pictures import bombs
from tests.support.pictures.encoding import chunk, encoded, picture, png, scan_bomb
from tests.support.pictures.variant import Variant

from visionserve.runtime.pictures import formats


def variants() -> tuple[Variant, ...]:
    """Every file that is refused."""
    return (*_too_large(), *_damaged(), *bombs.variants(), *_without_range(), *_other_kinds())


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
