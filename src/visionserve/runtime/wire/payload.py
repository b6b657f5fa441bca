"""A request's fields to the pictures in it.

The accepted forms:

- a raw body, of any or no content type: one picture
- multipart, one file: one picture
- multipart, several files: one picture each, answered as a list; where TorchServe takes it apart, of those that
  share a name only the last arrives
- `{"data": "<base64>"}`: one picture
- `{"instances": [{"b64": "..."}, ...]}`: any number, answered as a list
- `{"inputs": [...]}`: the Open Inference Protocol, answered in its own form
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from visionserve.runtime.wire import form, json_document, open_inference
from visionserve.runtime.wire.errors import (
    EmptyRequest,
    InvalidBase64,
    InvalidHeader,
    InvalidRequest,
    TooManyImages,
    UnsupportedFormat,
)
from visionserve.runtime.wire.open_inference import Outputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from visionserve.runtime.wire.request import Request

Encoded = bytes | bytearray
# How the answers go back: as one, as a list, or as the tensors a client of the Open Inference Protocol asked for.
Reply = Literal["one", "list"] | Outputs

JSON_LENGTH = "Inference-Header-Content-Length"

_FORMS = 'send the image as the body, as a multipart file, or as JSON with "instances", "data" or "inputs"'
_KEYS = ("inputs", "instances", "data")
_URL_ENCODED = "application/x-www-form-urlencoded"
# How a JSON document starts, after a byte-order mark and white space; no picture starts so.
_DOCUMENT = re.compile(rb"(?:\xef\xbb\xbf)?\s*[{\[]")
_JSON = re.compile(rb'(?:\xef\xbb\xbf)?\s*[{\["\-0-9tfn]')
_BOUNDARY = re.compile(r"""boundary=("[^"]*"|[^;\s]*)""", re.IGNORECASE)
# What a multipart part costs beside its content and boundary: its headers, with a long file name.
_PART_HEAD = 1024
# A length in bytes has fewer digits than this; Python refuses to convert thousands of them.
_LENGTH_DIGITS = 16


@dataclass(frozen=True)
class Payload:
    """The pictures of one request.

    Attributes:
        pictures: At least one: encoded, or uint8 RGB `[H, W, 3]`.
        reply: How the answers go back.
    """

    pictures: tuple[Encoded | npt.NDArray[np.uint8], ...]
    reply: Reply


def parse(request: Request, max_images: int, max_pixels: int) -> Payload:
    """Find the pictures in a request.

    Args:
        request: As the server handed it over.
        max_images: The most pictures it may hold.
        max_pixels: The most pixels its tensors may have.

    Raises:
        RequestError: The body is empty, none of the accepted forms, or holds too much.
    """
    if request.media_type == _URL_ENCODED:
        raise UnsupportedFormat(
            f"{_URL_ENCODED}, curl's default, breaks images; add -H 'Content-Type: image/jpeg' or use -T FILE"
        )
    parts = _whole(request) or _parts(request)
    _require_every_part(request)
    if len(parts) > 1:
        _require_few(len(parts), max_images)
        return Payload(tuple(_file(name, value) for name, value in parts), "list")
    value = parts[0][1] if parts else None
    return _single(value, request, max_images, max_pixels)


def _whole(request: Request) -> Sequence[tuple[str, Any]]:
    """The files of a form that was handed over whole, or without any its fields `data` and `body`."""
    content_type, body = request.header(form.HEADER), request.fields.get("body")
    if content_type is None or not isinstance(body, (bytes, bytearray)):
        return []
    parts = form.read(body, content_type)
    chosen = [part for part in parts if part.is_file] or [part for part in parts if part.name in ("data", "body")]
    if not chosen:
        raise EmptyRequest(f"the form has no file; {_FORMS}")
    return [(part.name, part.content) for part in chosen]


def _parts(request: Request) -> Sequence[tuple[str, Any]]:
    """The files of a form, or without any its fields `data` and `body`; other text fields are passed over."""
    files = [(name, value) for name, value in request.fields.items() if request.is_file(name)]
    return files or [(name, request.fields[name]) for name in ("data", "body") if name in request.fields]


def _require_every_part(request: Request) -> None:
    """Refuse a multipart body whose parts did not all arrive.

    TorchServe keeps only the last of several parts with the same name, so less arrives than was sent, and the
    client would get fewer answers than it sent pictures.
    """
    length, content_type = request.header("Content-Length"), request.header("Content-Type") or ""
    if request.media_type != "multipart/form-data" or length is None or not length.isdecimal():
        return
    if not (length.isascii() and len(length) < _LENGTH_DIGITS):
        raise InvalidHeader(f"Content-Length is '{length[:40]}'; it must be the body's length in bytes")
    sizes = [len(value) for value in request.fields.values() if isinstance(value, (bytes, bytearray, str))]
    if len(sizes) < len(request.fields):
        return  # a part that was JSON arrives parsed, its length unknown
    boundary = _BOUNDARY.search(content_type)
    # Not the length of the whole header, which may hold anything beside it: padding would hide a part.
    overhead = (_PART_HEAD + (len(boundary[1]) if boundary else 0)) * (len(sizes) + 1)
    missing = int(length) - sum(sizes) - overhead
    if missing > 0:
        raise InvalidRequest(
            f"at least {missing} bytes of the multipart body arrived in no part; give every part a name of its own"
            " (of those that share one, only the last arrives) and end it with the boundary"
        )


def _file(name: str, value: Any) -> Encoded:
    if isinstance(value, str):
        value = value.encode()
    if not isinstance(value, (bytes, bytearray)):
        raise InvalidRequest(f"multipart file '{name[:40]}' is no image; among several files all must be")
    if not value:
        raise EmptyRequest(f"multipart file '{name[:40]}' is empty")
    return value


def _single(value: Any, request: Request, max_images: int, max_pixels: int) -> Payload:
    as_json = request.media_type == "application/json"
    if isinstance(value, str) and not as_json:
        value = value.encode()
    if (value is None and "body" not in request.fields) or value == b"":
        raise EmptyRequest(f"the request has no image; {_FORMS}")
    if not isinstance(value, (bytes, bytearray)):
        return _document(value, memoryview(b""), max_images, max_pixels)
    length = request.header(JSON_LENGTH)
    if length is None and not (_JSON if as_json else _DOCUMENT).match(value):
        return Payload((value,), "one")
    end = len(value) if length is None else _json_length(length, len(value))
    return _document(json_document.parse(value[:end], _FORMS), memoryview(value)[end:], max_images, max_pixels)


def _json_length(text: str, size: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < _LENGTH_DIGITS and int(text) <= size):
        raise InvalidHeader(
            f"{JSON_LENGTH} is '{text[:40]}'; it must be the JSON part's length, at most the body's {size} bytes"
        )
    return int(text)


def _document(document: Any, binary: memoryview, max_images: int, max_pixels: int) -> Payload:
    keys = [key for key in _KEYS if key in document] if isinstance(document, dict) else []
    if len(keys) != 1:
        raise InvalidRequest(f'the JSON body needs one of "instances", "data" and "inputs"; {_FORMS}')
    if keys == ["inputs"]:
        pictures, outputs = open_inference.read(document, binary, max_images, max_pixels)
        return Payload(pictures, outputs)
    if len(binary):
        raise InvalidRequest(f'{JSON_LENGTH} is for "inputs"; after the JSON follow {len(binary)} bytes')
    if keys == ["data"]:
        return Payload((_picture(document["data"], '"data"'),), "one")
    instances = document["instances"]
    if not isinstance(instances, list) or not instances:
        raise InvalidRequest('"instances" must be a list of {"b64": "..."} with at least one')
    _require_few(len(instances), max_images)
    encoded = [item.get("b64") if isinstance(item, dict) else None for item in instances]
    return Payload(
        tuple(_picture(text, f'instances[{place}]."b64"') for place, text in enumerate(encoded)), "list"
    )


def _picture(text: Any, place: str) -> bytes:
    if not isinstance(text, str):
        raise InvalidRequest(f"{place} must be an image in base64, as text")
    if not text:
        raise EmptyRequest(f"{place} is empty")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidBase64(f"{place} is not valid base64") from None


def _require_few(count: int, max_images: int) -> None:
    if count > max_images:
        raise TooManyImages(f"the request holds {count} images; this model takes {max_images} at once")
