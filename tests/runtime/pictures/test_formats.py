from __future__ import annotations

import pytest

from visionserve.runtime.pictures import formats
from visionserve.runtime.wire.errors import UnsupportedFormat


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"%PDF-1.7\n", "a PDF document"),
        (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2", "a video"),
        (b"\x1aE\xdf\xa3\x01\0\0", "a Matroska or WebM video"),
        (b"<?xml version='1.0'?><!DOCTYPE svg PUBLIC 'x'>\n<svg>", "an SVG drawing"),
        (b"\n<!doctype HTML><p>", "an HTML page"),
        (b"\0\0\0\x1cftypheic\0\0\0\0", "a HEIC image"),
    ],
)
def test_the_message_names_the_kind(data: bytes, kind: str) -> None:
    with pytest.raises(UnsupportedFormat, match=f"^this is {kind}; send JPEG, PNG"):
        formats.refuse_known_others(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"words about <svg> and <html>",
        b"<xml><svg/></xml>",
        b"<svgx>",
        b"RIFF\0\0\0\0WEBPVP8 ",
        b"<!-- -->" * 10_000,
        b" " * 100_000,
        b"<!--" * 10_000,
    ],
)
def test_anything_else_passes(data: bytes) -> None:
    formats.refuse_known_others(data)
