"""A multipart form taken apart here, at a bounded cost.

TorchServe takes forms apart itself, in Java, without bounds: 20 MB of tiny parts, or of one endless header, keep
it and everybody's requests for seconds, and 20 MB of `a&a&a` end it. So the edge hands forms over whole, as bytes,
and says what they are in a header of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from visionserve.runtime.wire.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Sequence

# The content type that the client sent, where the edge hands a form over whole.
HEADER = "X-Form"

# Text fields may stand beside the pictures. Taking a part apart costs 2 us.
_MAX_PARTS = 1000
_LONGEST_HEAD = 8192  # bytes, as TorchServe's own bound on a request's headers
_BOUNDARY = re.compile(r'boundary=(?:"([^"\r\n]{1,70})"|([^\s;,"]{1,70}))', re.IGNORECASE)
_NAME = re.compile(rb'\bname="([^"]*)"|\bname=([^\s;"]+)', re.IGNORECASE)
_FILE = re.compile(rb"\bfilename\*?=|^content-type:", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Part:
    """One part of a form.

    Attributes:
        name: As the client called it.
        is_file: Whether it was sent as a file: text fields have neither a file's name nor a content type.
        content: Its bytes.
    """

    name: str
    is_file: bool
    content: bytes


def read(body: bytes | bytearray, content_type: str) -> Sequence[Part]:
    """The parts of a form (RFC 7578), in their order; several may share a name.

    Args:
        body: The whole of it.
        content_type: As the client sent it, with the boundary.

    Raises:
        InvalidRequest: It is no such form, is cut short, or has too many parts.
    """
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise InvalidRequest("the multipart body's Content-Type names no boundary")
    # The first boundary has no line before it, unless a preamble does.
    delimiter = b"\r\n--" + (found[1] or found[2]).encode("latin-1", "replace")
    whole = b"\r\n" + bytes(body)
    if whole.count(delimiter) > _MAX_PARTS + 1:
        raise InvalidRequest(f"the multipart body has more than {_MAX_PARTS} parts")
    _, *pieces = whole.split(delimiter)
    if not pieces or not pieces[-1].startswith(b"--"):
        raise InvalidRequest("the multipart body does not end with its boundary; it was cut short")
    return [_part(piece) for piece in pieces[:-1]]


def _part(piece: bytes) -> Part:
    # The boundary's own line may end in white space.
    start = piece.find(b"\r\n", 0, 256)
    end = piece.find(b"\r\n\r\n", max(start, 0), _LONGEST_HEAD)
    if start < 0 or end < 0:
        raise InvalidRequest(f"a part of the multipart body has headers of more than {_LONGEST_HEAD} bytes")
    head = piece[start + 2 : end]
    name = _NAME.search(head)
    called = (name[1] if name[1] is not None else name[2]) if name else b""
    return Part(called.decode("utf-8", "replace"), _FILE.search(head) is not None, piece[end + 4 :])
