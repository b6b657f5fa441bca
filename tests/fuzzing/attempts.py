"""Requests that are wrong in many ways, without end and the same for the same seed."""

from __future__ import annotations

import base64
import json
import random
import string
import struct
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.fuzzing.structures import restructured
from tests.support.pictures import bombs, corpus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class Attempt:
    """One request to try.

    Attributes:
        kind: How it was made.
        body: Its content.
        headers: Its headers.
        method: Its HTTP method.
        path: Where it is sent; empty for the predictions of the model that is tried.
    """

    kind: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "POST"
    path: str = ""


def attempts(seed: int) -> Iterator[Attempt]:
    """Requests without end, the same for the same seed."""
    rng = random.Random(seed)
    makers: list[Callable[[random.Random], Attempt]] = [
        _raw,
        _raw,
        _raw,
        _multipart,
        _json,
        _tensor,
        _binary,
        _noise,
        _bomb,
    ]
    while True:
        attempt = rng.choice(makers)(rng)
        yield Attempt(attempt.kind, attempt.body, {**attempt.headers, **_options(rng)}, attempt.method)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Bytes with one to five things wrong."""
    result = bytearray(data)
    for _ in range(rng.randint(1, 5)):
        place = rng.randrange(len(result) + 1)
        length = rng.choice([1, 2, 4, 16, 256])
        extreme = rng.choice([0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, rng.getrandbits(32)])
        change = rng.randrange(7)
        if change == 0 and place < len(result):
            result[place] ^= 1 << rng.randrange(8)
        elif change == 1:
            result[place : place + length] = rng.randbytes(length)
        elif change == 2:
            result[place : place + 4] = struct.pack(rng.choice("<>") + "I", extreme)
        elif change == 3:
            del result[place : place + length]
        elif change == 4:
            result[place:place] = result[place : place + length] * rng.choice([1, 2, 50])
        elif change == 5:
            del result[max(place, 1) :]
        else:
            other = rng.choice(corpus.variants()).data
            result[place:] = other[rng.randrange(len(other)) :]
    return bytes(result)


def _picture(rng: random.Random) -> bytes:
    data = rng.choice(corpus.variants()).data
    if rng.random() < 0.5:
        return restructured(data, rng)
    # Most damage is done to the first bytes: there are the headers that lie.
    if rng.random() < 0.5 and len(data) > 200:
        return mutated(data[:200], rng) + data[200:]
    return mutated(data, rng)


def _bomb(rng: random.Random) -> Attempt:
    """Seldom one that takes a second, or nothing else would be tried."""
    kinds = bombs.COSTLY if rng.random() < 0.05 else bombs.STRUCTURES
    make = kinds[rng.choice(sorted(kinds))]
    return Attempt("bomb", make(rng.choice([20_000, 400_000, 4_000_000])))


def _raw(rng: random.Random) -> Attempt:
    kind = rng.choice(
        ["", "image/jpeg", "application/octet-stream", "application/json", "text/plain", "x/y; z=\xe9"]
    )
    headers = {"Content-Type": kind} if kind else {}
    return Attempt("mutated picture", _picture(rng), headers, rng.choice(["POST"] * 8 + ["PUT", "PATCH"]))


def _multipart(rng: random.Random) -> Attempt:
    names = [
        rng.choice(["data", "body", "a", "b", "", "\u00e4", 'quo"te', "x" * 300]) for _ in range(rng.randint(0, 4))
    ]
    parts = b"".join(
        b'--limit\r\nContent-Disposition: form-data; name="%s"%s\r\n%s\r\n%s\r\n'
        % (
            name.encode(),
            rng.choice([b"", b'; filename="f"', '; filename="\u00e4\u2028.jpg"'.encode()]),
            rng.choice([b"", b"Content-Type: image/png\r\n", b"Content-Type: application/json\r\n"]),
            _picture(rng),
        )
        for name in names
    )
    body = parts + b"--limit--\r\n"
    if rng.random() < 0.3:
        body = mutated(body, rng)
    return Attempt(
        "multipart",
        body,
        {"Content-Type": rng.choice(["multipart/form-data; boundary=limit"] * 9 + ["multipart/form-data"])},
    )


def _text(rng: random.Random) -> str:
    encoded = base64.b64encode(_picture(rng)).decode()
    return rng.choice([encoded, encoded, encoded[:-1], "", "\u00e4", "*" * 100])


def _value(rng: random.Random, depth: int = 0) -> object:
    plain: list[object] = [None, True, -1, 10**20, 0.5, "", "UINT8", _text(rng), [1, 3, 1, 1]]
    if depth < 3 and rng.random() < 0.4:
        inner = [_value(rng, depth + 1) for _ in range(rng.randint(0, 3))]
        return inner if rng.random() < 0.5 else dict(zip(["b64", "data", "shape", "name"], inner, strict=False))
    return rng.choice(plain)


def _json(rng: random.Random) -> Attempt:
    document: dict[str, object] = {}
    for key in rng.sample(["instances", "data", "inputs", "outputs", "id", "parameters"], rng.randint(1, 3)):
        document[key] = _value(rng)
    if rng.random() < 0.5:
        document = {"instances": [{"b64": _text(rng)} for _ in range(rng.randint(0, 5))]}
    body = json.dumps(document, ensure_ascii=rng.random() < 0.5).encode()
    if rng.random() < 0.3:
        body = mutated(body, rng)
    return Attempt("JSON", body, {"Content-Type": rng.choice(["application/json", "text/plain", "image/jpeg"])})


def _tensor(rng: random.Random) -> Attempt:
    shape: list[object] = [
        rng.choice([0, 1, 2, 3, 5]),
        rng.choice([1, 3, 7]),
        rng.choice([1, 3, 9]),
        rng.choice([1, 3]),
    ]
    size = 1
    for side in shape:
        size *= int(str(side))
    tensor: dict[str, object] = {
        "name": "image",
        "datatype": rng.choice(["UINT8", "FP32", "BYTES", "FP16"]),
        "shape": shape,
        "data": [rng.choice([0, 1, 255, 0.5, 1.0]) for _ in range(size)],
    }
    if rng.random() < 0.5:
        tensor[rng.choice(list(tensor))] = _value(rng)
    return Attempt("tensor", json.dumps({"inputs": [tensor]}).encode(), {"Content-Type": "application/json"})


def _binary(rng: random.Random) -> Attempt:
    pictures = [_picture(rng) for _ in range(rng.randint(1, 4))]
    content = b"".join(struct.pack("<I", len(picture)) + picture for picture in pictures)
    if rng.random() < 0.4:
        content = mutated(content, rng)
    parameters = {"binary_data_size": len(content) + rng.choice([0, 0, 0, 1, -1, 10**12])}
    tensor = {"name": "x", "datatype": "BYTES", "shape": [len(pictures)], "parameters": parameters}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": rng.random() < 0.5}}).encode()
    length = str(len(head) + rng.choice([0, 0, 0, 0, 1, -1]))
    return Attempt("binary tensor", head + content, {"Inference-Header-Content-Length": length})


def _noise(rng: random.Random) -> Attempt:
    body = rng.choice([b"", rng.randbytes(rng.randrange(5000)), b"[" * 50_000, b'{"a":' * 10_000, bytes(100_000)])
    return Attempt("noise", body, {}, rng.choice(["POST", "GET", "DELETE", "PUT"]))


def _options(rng: random.Random) -> dict[str, str]:
    if rng.random() < 0.6:
        return {}
    soon = int(time.time() * 1000) + rng.choice([-5000, 60_000])
    word = "".join(rng.choice(string.printable[:95]) for _ in range(rng.randint(1, 12))).strip()
    return dict(
        rng.sample(
            [
                ("X-Top-K", rng.choice(["1", "3", "0", "-1", "999", word])),
                ("x-response", rng.choice(["labels", "detailed", word])),
                ("X-Request-Deadline-Ms", rng.choice([str(soon), "1", word])),
                ("describe", "True"),
                ("explain", "True"),
                ("ts_stream_next", "true"),
                ("Inference-Header-Content-Length", rng.choice(["0", "5", "999999999", word])),
                ("Content-Encoding", "gzip"),
            ],
            rng.randint(1, 3),
        )
    )
