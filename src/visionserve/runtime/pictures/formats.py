"""What kind of file some bytes are, by their first few; known others deserve a better word than "no image"."""

from __future__ import annotations

import re

from visionserve.runtime.wire.errors import UnsupportedFormat

# The names Pillow gives the decoders we allow: each is common on the web or from cameras, and each is fuzzed.
DECODERS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")
TAKEN = "JPEG, PNG, GIF, WebP, BMP or TIFF"

# How far markup may start into a file, after a byte-order mark, white space, comments and declarations.
_TEXT_HEAD = 1024

_ISO_MEDIA = {
    b"avif": "an AVIF image",
    b"avis": "an AVIF image",
    b"heic": "a HEIC image",
    b"heix": "a HEIC image",
    b"hevc": "a HEIC image",
    b"mif1": "a HEIF image",
    b"msf1": "a HEIF image",
    b"jxl ": "a JPEG XL image",
}

MAGIC = (
    (b"%PDF-", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"\xc5\xd0\xd3\xc6", "a PostScript document"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (b"\x00\x00\x01\xba", "an MPEG video"),
    (b"\x00\x00\x01\xb3", "an MPEG video"),
    (b"FLV\x01", "a Flash video"),
    (b"OggS", "an Ogg file"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL image"),
    (b"8BPS", "a Photoshop document"),
    (b"\x00\x00\x01\x00", "a Windows icon"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b\x08", "gzip-compressed data"),
    (b"\x93NUMPY", "a NumPy array"),
)

# Every alternative starts differently and none can match two ways, so hostile text cannot make this backtrack.
_MARKUP = re.compile(
    rb"(?:<\?xml[^>]*>|<!--(?:(?!-->).)*-->|<!doctype\s+svg[^>]*>|\s)*"
    rb"<(?P<tag>svg|!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)


def refuse_known_others(data: bytes | bytearray) -> None:
    """Refuse a file of a kind we recognise and do not take.

    Raises:
        UnsupportedFormat: It is one; the message names the kind.
    """
    kind = _kind(bytes(data[:_TEXT_HEAD]))
    if kind is not None:
        raise UnsupportedFormat(f"this is {kind}; send {TAKEN}")


def _kind(head: bytes) -> str | None:
    for magic, kind in MAGIC:
        if head.startswith(magic):
            return kind
    if head[4:8] == b"ftyp":
        return _ISO_MEDIA.get(head[8:12], "a video")
    if head.startswith(b"RIFF") and head[8:12] in (b"AVI ", b"WAVE"):
        return "an AVI video" if head[8:12] == b"AVI " else "a WAV recording"
    markup = _MARKUP.match(head.removeprefix(b"\xef\xbb\xbf"))
    if markup:
        return "an SVG drawing" if markup["tag"].lower() == b"svg" else "an HTML page"
    return None
