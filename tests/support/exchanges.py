"""Requests of every form and every mistake, each with what it must get."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.pictures import corpus

from visionserve.archiver.demo import colours

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Part:
    """A body, or one part of a multipart body."""

    name: str = "body"
    value: bytes = b""
    content_type: str = ""


@dataclass(frozen=True)
class Sent:
    """One request as the front end hands it over."""

    parts: tuple[Part, ...]
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def body(cls, value: bytes, content_type: str = "", **headers: str) -> Sent:
        """A raw body; underscores in header names stand for dashes."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        typed = {"Content-Type": content_type} if content_type else {}
        return cls((Part("body", value, content_type),), {**typed, **named})

    @classmethod
    def multipart(cls, **files: bytes) -> Sent:
        parts = tuple(Part(name, value, "image/jpeg") for name, value in files.items())
        return cls(parts, {"Content-Type": "multipart/form-data; boundary=x"})


GOOD = [data for _, data in colours.held_out(per_class=2)]
BAD = [variant for variant in corpus.variants() if variant.status != 200]
JPEG = GOOD[0]


def as_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def as_json(document: Any) -> Sent:
    return Sent.body(json.dumps(document).encode(), "application/json")


FORMS: dict[str, tuple[Callable[[bytes], Sent], str]] = {
    "raw": (lambda data: Sent.body(data), "one"),
    "raw-image-type": (lambda data: Sent.body(data, "image/png"), "one"),
    "raw-json-type": (lambda data: Sent.body(data, "application/json"), "one"),
    "raw-text-type": (lambda data: Sent.body(data, "text/plain"), "one"),
    "multipart-data": (lambda data: Sent.multipart(data=data), "one"),
    "multipart-body": (lambda data: Sent.multipart(body=data), "one"),
    "multipart-any": (lambda data: Sent.multipart(upload=data), "one"),
    "multipart-text-beside": (
        lambda data: Sent((Part("who", b"me"), Part("x", data, "image/gif"))),
        "one",
    ),
    "multipart-two": (lambda data: Sent.multipart(a=data, b=data), "list"),
    "data": (lambda data: as_json({"data": as_base64(data)}), "one"),
    "instances": (lambda data: as_json({"instances": [{"b64": as_base64(data)}] * 3}), "list"),
    "json-without-type": (lambda data: Sent.body(b'\xef\xbb\xbf {"data": "%s"}' % base64.b64encode(data)), "one"),
}


WRONG: dict[str, tuple[Sent, tuple[int, str]]] = {
    "nothing": (Sent.body(b""), (400, "EmptyRequest")),
    "no-part": (Sent((), {"Content-Type": "multipart/form-data; boundary=x"}), (400, "EmptyRequest")),
    "empty-file": (Sent.multipart(data=b""), (400, "EmptyRequest")),
    "one-empty-file-of-two": (Sent.multipart(data=JPEG, more=b""), (400, "EmptyRequest")),
    "only-text": (Sent((Part("who", b"me"),)), (400, "EmptyRequest")),
    "too-many-files": (Sent.multipart(**dict.fromkeys("abcde", JPEG)), (413, "TooManyImages")),
    "lost-part": (
        Sent(
            (Part("a", JPEG, "image/jpeg"),),
            {"Content-Type": "multipart/form-data; boundary=x", "content-length": str(2 * len(JPEG) + 200)},
        ),
        (400, "InvalidRequest"),
    ),
    "url-encoded": (Sent.body(JPEG, "application/x-www-form-urlencoded"), (415, "UnsupportedFormat")),
    "cut-json": (Sent.body(b'{"instances": [{"b64"', "application/json"), (400, "InvalidJson")),
    "json-nan": (Sent.body(b'{"data": NaN}'), (400, "InvalidJson")),
    "deep-json": (Sent.body(b"[" * 100_000, "application/json"), (400, "InvalidJson")),
    "long-number": (Sent.body(b'{"data": ' + b"1" * 10_000 + b"}"), (400, "InvalidJson")),
    "many-values": (Sent.body(b"[" + b"[]," * 3_000_000 + b"]"), (400, "InvalidRequest")),
    "json-list": (Sent.body(b"[1, 2]"), (400, "InvalidRequest")),
    "other-json": (as_json({"inputs_": []}), (400, "InvalidRequest")),
    "two-forms": (as_json({"data": "", "instances": []}), (400, "InvalidRequest")),
    "no-instances": (as_json({"instances": []}), (400, "InvalidRequest")),
    "instances-no-list": (as_json({"instances": {"b64": ""}}), (400, "InvalidRequest")),
    "instance-no-b64": (as_json({"instances": [{"b65": ""}]}), (400, "InvalidRequest")),
    "instance-number": (as_json({"instances": [{"b64": 5}]}), (400, "InvalidRequest")),
    "instance-empty": (as_json({"instances": [{"b64": ""}]}), (400, "EmptyRequest")),
    "many-instances": (as_json({"instances": [{"b64": as_base64(JPEG)}] * 5}), (413, "TooManyImages")),
    "not-base64": (as_json({"data": "*"}), (400, "InvalidBase64")),
    "not-ascii-base64": (as_json({"data": "ä"}), (400, "InvalidBase64")),
    "base64-of-junk": (as_json({"data": as_base64(b"junk")}), (400, "InvalidImage")),
    "data-number": (as_json({"data": 1}), (400, "InvalidRequest")),
    "explanation": (Sent.body(JPEG, explain="True"), (501, "ExplanationUnsupported")),
    "late": (Sent.body(JPEG, X_Request_Deadline_Ms="1500000000000"), (504, "DeadlineExceeded")),
    "late-junk": (Sent.body(b"junk", X_Request_Deadline_Ms="1500000000000"), (504, "DeadlineExceeded")),
    "duration": (Sent.body(JPEG, X_Request_Deadline_Ms="500"), (400, "InvalidHeader")),
    "deadline-word": (Sent.body(JPEG, x_request_deadline_ms="soon"), (400, "InvalidHeader")),
    "top-0": (Sent.body(JPEG, X_Top_K="0"), (400, "InvalidHeader")),
    "top-minus": (Sent.body(JPEG, X_TOP_K="-1"), (400, "InvalidHeader")),
    "top-arabic": (Sent.body(JPEG, X_Top_K="٣"), (400, "InvalidHeader")),
    "top-huge": (Sent.body(JPEG, X_Top_K="9" * 5000), (400, "InvalidHeader")),
    "response-word": (Sent.body(JPEG, X_Response="verbose\r\nX: y"), (400, "InvalidHeader")),
    "wrong-json-length": (Sent.body(b"{}", Inference_Header_Content_Length="3"), (400, "InvalidHeader")),
    "bytes-after-data": (
        Sent.body(b'{"data": "aaaa"}junk', Inference_Header_Content_Length="16"),
        (400, "InvalidRequest"),
    ),
}


class Answers(dict[bytes, bytes]):
    """What each good picture is answered by itself; shown short when a test fails."""

    def __repr__(self) -> str:
        return f"<{len(self)} answers>"


# Two that take seconds, for tests that send each thing many times.
_SLOW = ("deep-json", "many-values")
# What no HTTP client can send, or TorchServe does not let through.
_UNSENDABLE = ("lost-part", "only-text", "explanation", "url-encoded", "top-arabic", "response-word")


def items(over_http: bool = False) -> list[tuple[Sent, bytes | tuple[int, str]]]:
    """Requests, each with the picture it must be answered for, or the error."""
    left_out = (*_SLOW, *(_UNSENDABLE if over_http else ()))
    return [
        *((Sent.body(data), data) for data in GOOD),
        *((Sent.multipart(data=data), data) for data in GOOD[:3]),
        *((as_json({"data": as_base64(data)}), data) for data in GOOD[:3]),
        *((Sent.body(variant.data), (variant.status, str(variant.type))) for variant in BAD),
        *(pair for name, pair in WRONG.items() if name not in left_out),
    ]
