"""What never reaches an instance, and what is made of the rest."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING

import pytest
from tests.server.edge.conftest import BODY, LIMITS, received

if TYPE_CHECKING:
    from tests.server.edge.conftest import Front, Started

POST = b"POST /predictions/m HTTP/1.1\r\nHost: a\r\n"
ONE = b"Content-Length: 1\r\n\r\nx"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def sent(front: Front, request: bytes) -> bytes:
    """One request's answer on a connection that ends with it."""
    head, rest = request.split(b"\r\n", 1)
    return front.raw(head + b"\r\nConnection: close\r\n" + rest)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/predictions",
        "/predictions/",
        "/predictions//m",
        "/predictions/m/1.0/more",
        "/predictions/.hidden",
        "/predictions/m/..",
        "/predictions/../models",
        "/predictions/%2e%2e/models",
        "/predictions/m%2fx",
        "/predictions/m%00",
        "/predictions/m;x",
        "/predictions/" + "m" * 129,
        "/explanations/m",
        "/models",
        "/models?url=http://127.0.0.1/x.mar",
        "/models/m",
        "/workflows?url=http://127.0.0.1/x.war",
        "/workflows/m",
        "/wfpredict/m",
        "/invocations",
        "/m/predict",
        "/api-description",
        "/token?type=inference",
        "/v2/models/m/unload",
        "/v2/models/../infer",
        "/v2/repository/index",
        "/v2/repository/models/m/load",
        "/v2/systemsharedmemory/status",
        "/PREDICTIONS/m",
    ],
)
def test_there_is_nothing_at_other_paths(front: Front, path: str) -> None:
    for method in (b"POST", b"GET", b"PUT", b"DELETE"):
        answer = sent(front, method + b" " + path.encode() + b" HTTP/1.1\r\nHost: a\r\n" + ONE)
        assert status(answer) == 404
        assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["type"] == "NotFound"
    assert not front.seen


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "HEAD", "ANY"])
def test_a_prediction_is_posted(front: Front, method: str) -> None:
    answer = sent(front, f"{method} /predictions/m HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert status(answer) in ({400, 404, 405} if method == "CONNECT" else {405})
    assert not front.seen


@pytest.mark.parametrize(
    "headers",
    {
        "two lengths": b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
        "two lengths in one": b"Content-Length: 1, 2\r\n\r\nxy",
        "a negative length": b"Content-Length: -1\r\n\r\nx",
        "a signed length": b"Content-Length: +1\r\n\r\nx",
        "an impossible length": b"Content-Length: 99999999999999999999999\r\n\r\nx",
        "a space before the colon": b"Content-Length : 1\r\n\r\nx",
        "chunked twice": b"Transfer-Encoding: chunked\r\n" + CHUNKED,
        "another coding": CHUNKED.replace(b"chunked", b"xchunked"),
        "two codings": CHUNKED.replace(b"chunked", b"gzip, chunked"),
        "two lengths, the first none": b"Content-Length: 0\r\nContent-Length: 1\r\n\r\nx",
        "an empty length": b"Content-Length:\r\n\r\nx",
        "a hexadecimal length": b"Content-Length: 0x1\r\n\r\nx",
        "a length in two words": b"Content-Length: 1 1\r\n\r\nx",
        "a coding in quotes": CHUNKED.replace(b"chunked", b'"chunked"'),
        "a coding after a vertical tab": CHUNKED.replace(b" chunked", b"\x0bchunked"),
        "a coding after a space before the colon": CHUNKED.replace(b":", b" :", 1),
        "an empty coding": b"Transfer-Encoding:\r\n" + ONE,
        "a second coding in a line of its own": b"Transfer-Encoding: cow\r\n" + CHUNKED,
        "another coding after it": CHUNKED.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: cow\r\n\r\n", 1),
        "identity alone": CHUNKED.replace(b"chunked", b"identity"),
        "identity first": CHUNKED.replace(b"chunked", b"identity, chunked"),
        "a chunk longer than it says": CHUNKED.replace(b"\r\nx\r\n", b"\r\nxx\r\n"),
        "a chunk of an impossible size": CHUNKED.replace(b"1\r\nx", b"10000000000000000\r\nx"),
        "a chunk's size with a prefix": CHUNKED.replace(b"1\r\nx", b"0x1\r\nx"),
        "a bare CR": b"a: b\rContent-Length: 5\r\n" + ONE,
        "a zero in a name": b"X-Top\x00-K: 3\r\n" + ONE,
        "chunked is not last": CHUNKED.replace(b"chunked", b"chunked, identity"),
        "a bad chunk": CHUNKED.replace(b"1\r\nx", b"zz\r\nx"),
        "two hosts": b"Host: b\r\n" + ONE,
        "a zero in a header": b"X-Top-K: 3\x00\r\n" + ONE,
        "a bell in a header": b"X-Top-K: 3\x07\r\n" + ONE,
        "too many headers": b"".join(b"a%d: b\r\n" % number for number in range(200)) + ONE,
        "a new line in a name": b"a\rb: c\r\n" + ONE,
    }.items(),
    ids=lambda case: case[0],
)
def test_ambiguous_requests_are_refused(front: Front, headers: tuple[str, bytes]) -> None:
    answer = sent(front, POST + headers[1])
    assert status(answer) in {400, 422}
    assert not front.seen


@pytest.mark.parametrize(
    "headers",
    [
        # Chunks count, the length is dropped, and the connection ends, so nothing can follow.
        b"Content-Length: 45\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        # A folded line is one line, and one that ends in LF alone is a line.
        b"Transfer-Encoding:\r\n chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
        b"Content-Length: 0\r\nX-Top-K: 3\r\n\tTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        b"Content-Length: 0\nX-Top-K: 3\nConnection: close\n\n",
        b"X-Top-K: 3\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
        # The same length twice, or with zeros before it, is one.
        b"Content-Length: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        b"Content-Length: 0, 0\r\nConnection: close\r\n\r\n",
        b"Content-Length: 000\r\nConnection: close\r\n\r\n",
        # Case and blanks around a coding are nothing, and a header that is spelled nearly so is another.
        b"Transfer-Encoding:\tCHUNKED \r\nConnection: close\r\n\r\n0\r\n\r\n",
        b"Content_Length: 45\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    ],
)
def test_a_request_is_one_request(front: Front, headers: bytes) -> None:
    hidden = b"POST /predictions/hidden HTTP/1.1\r\nHost: a\r\n" + ONE
    answer = front.raw(POST + headers + hidden)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert [(seen.path, seen.body) for seen in front.seen] == [("/predictions/m", b"")]
    (seen,) = front.seen
    lengths = {name.lower() for name in seen.headers} & {"content-length", "transfer-encoding"}
    assert len(lengths) <= 1


def test_trailers_and_extensions_of_chunks_end_here(front: Front) -> None:
    body = b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n1;a=b\r\nx\r\n0\r\nDescribe: True\r\n\r\n"
    assert status(front.raw(POST + body)) == 200
    assert front.seen[-1].body == b"x"
    assert "describe" not in {name.lower() for name in front.seen[-1].headers}


def test_the_other_version_of_http_is_not_spoken(front: Front) -> None:
    assert status(front.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")) == 400
    assert status(sent(front, POST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" + ONE)) == 200
    assert "upgrade" not in {name.lower() for name in front.seen[-1].headers}


@pytest.mark.parametrize("sent", [b"garbage\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"GET /\r\n\r\n"])
def test_what_is_no_request_is_answered_once(front: Front, sent: bytes) -> None:
    answer = front.raw(sent)
    assert (status(answer), answer.count(b"HTTP/1.1 ")) == (400, 1)
    assert not front.seen


@pytest.mark.parametrize("length", [BODY + 1, 2**31, 2**32 + 1, 2**63 - 1])
def test_too_large_a_body_is_refused_before_it_comes(front: Front, length: int) -> None:
    answer = front.raw(POST + f"Content-Length: {length}\r\nConnection: close\r\n\r\n".encode())
    assert (status(answer), json.loads(answer.split(b"\r\n\r\n")[1])["type"]) == (413, "RequestTooLarge")
    assert not front.seen


def test_a_client_that_waits_for_leave_sends_no_body_in_vain(front: Front) -> None:
    expecting = POST + b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: "
    assert status(front.raw(expecting + b"2000000\r\n\r\n")) == 413
    with socket.create_connection((front.host, front.port), timeout=5) as connection:
        connection.sendall(expecting + b"1\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"x")
        assert status(received(connection)) == 200


def test_an_upload_that_is_refused_gets_its_answer(front: Front) -> None:
    answer = front.post(data=b"x" * 10_000_000)
    assert (answer.status_code, answer.json()["type"]) == (413, "RequestTooLarge")


def test_chunks_beyond_a_buffer_are_refused(front: Front) -> None:
    answer = front.post(data=(b"x" * 50_000 for _ in range(100)))
    assert (answer.status_code, answer.json()["type"]) == (411, "LengthRequired")
    assert not front.seen


def test_heads_are_bounded(front: Front) -> None:
    long = front.post(headers={"a": "b" * LIMITS.headers})
    assert (long.status_code, long.json()["type"]) == (431, "HeadersTooLarge")
    assert front.post("/predictions/m?" + "b" * 3000).status_code == 414
    assert status(front.raw(POST + b"a: " + b"b" * 400_000 + b"\r\n" + ONE)) == 400
    assert not front.seen


def test_slow_heads_and_bodies_are_given_up(front: Front) -> None:
    began = time.monotonic()
    assert status(front.raw(POST)) == 408
    head = time.monotonic() - began
    assert status(front.raw(POST + b"Content-Length: 100\r\n\r\nx")) == 408
    body = time.monotonic() - began - head
    assert LIMITS.header_seconds <= head < LIMITS.header_seconds + 1
    assert LIMITS.body_seconds <= body < LIMITS.body_seconds + 1
    assert not front.seen


def test_a_silent_connection_is_closed(front: Front) -> None:
    began = time.monotonic()
    assert front.raw(b"") == b""
    assert time.monotonic() - began < LIMITS.header_seconds + 1


def test_connections_are_bounded(start: Started) -> None:
    from dataclasses import replace

    front = start(limits=replace(LIMITS, clients=3, idle_seconds=1.0))
    held = [socket.create_connection((front.host, front.port)) for _ in range(3)]
    for connection in held:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.recv(9) == b"HTTP/1.1 "
    with socket.create_connection((front.host, front.port), timeout=0.3) as fourth:
        fourth.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        with pytest.raises(TimeoutError):
            fourth.recv(1)
        # It gets its turn when an idle one is given up.
        fourth.settimeout(5)
        assert fourth.recv(9) == b"HTTP/1.1 "
    for connection in held:
        connection.close()


@pytest.mark.parametrize(
    ("kind", "path", "failure"),
    [("Unavailable", "/predictions/m", "hang up"), ("Timeout", "/predictions/sleep-1200", "")],
)
def test_haproxy_s_own_errors_are_in_our_form(start: Started, kind: str, path: str, failure: str) -> None:
    from dataclasses import replace

    front = start(limits=replace(LIMITS, answer_seconds=0.3), up="a")
    if failure:
        front.backends["a"].failing = 99
    answer = front.post(path)
    document = answer.json()
    assert set(document) == {"code", "type", "message"}
    assert (document["code"], document["type"]) == (answer.status_code, kind)
    assert answer.headers["Content-Type"] == "application/json"
    assert int(answer.headers["Retry-After"]) >= 1
