"""What reaches an instance, and as what."""

from __future__ import annotations

import http.client
import socket
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.server.edge.conftest import BODY, LIMITS

if TYPE_CHECKING:
    from tests.server.edge.conftest import Front, Started


@pytest.mark.parametrize("path", ["/predictions/m", "/predictions/resnet50/1.0", "/predictions/a_b-c.d/v2"])
def test_a_prediction_reaches_an_instance(front: Front, path: str) -> None:
    answer = front.post(path)
    assert (answer.status_code, answer.json()["path"], answer.json()["bytes"]) == (200, path, 7)


def test_put_is_what_curl_sends_a_file_with(front: Front) -> None:
    assert front.session.put(front.url + "/predictions/m", data=b"x").status_code == 200
    assert front.seen[-1].method == "POST"


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ("/v2/models/m/infer", "/predictions/m"),
        ("/v2/models/m/versions/1.0/infer", "/predictions/m/1.0"),
        ("/predictions/m?x=1", "/predictions/m"),
    ],
)
def test_a_path_is_rewritten(front: Front, asked: str, got: str) -> None:
    assert front.post(asked).json()["path"] == got


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (["multipart/form-data; boundary=x"], "multipart/form-data; boundary=x"),
        ([" Multipart/Form-Data;boundary=x"], "Multipart/Form-Data;boundary=x"),
        (["image/jpeg", "multipart/form-data; boundary=x"], "image/jpeg"),
        (["multipart/form-data; boundary=x", "image/jpeg"], "multipart/form-data; boundary=x"),
        (["application/x-www-form-urlencoded"], None),
        (["application/X-WWW-form-urlencoded; charset=utf-8"], None),
    ],
)
def test_forms_are_handed_over_whole(sent: list[str], told: str | None, front: Front) -> None:
    host, port = front.address.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    connection.putrequest("POST", "/predictions/m")
    for value in sent:
        connection.putheader("Content-Type", value)
    connection.putheader("X-Form", "a client's own")
    connection.putheader("Content-Length", "4")
    connection.endheaders(b"body")
    assert connection.getresponse().status == 200
    connection.close()
    (seen,) = front.seen
    headers = {name.lower(): value for name, value in seen.headers.items()}
    assert headers["content-type"] == "application/octet-stream"
    assert headers.get("x-form") == told


def test_only_headers_that_say_something_of_a_picture_go_on(front: Front) -> None:
    harmless = {
        "Content-Type": "image/jpeg",
        "X-Top-K": "3",
        "X-Response": "detailed",
        "X-Request-Deadline-Ms": "4102444800000",
        "Inference-Header-Content-Length": "5",
    }
    others = {
        "Describe": "True",
        "Explain": "True",
        "X-Forwarded-For": "10.0.0.1",
        "Forwarded": "for=10.0.0.1",
        "Authorization": "Bearer secret",
        "X-API-Key": "secret",
        "Cookie": "a=b",
        "Upgrade": "websocket",
        "TE": "trailers",
        "Url_Path": "x",
        "Expect": "100-continue",
    }
    assert front.post(headers={**harmless, **others}).status_code == 200
    (seen,) = front.seen
    assert {name.lower() for name in seen.headers} == {*map(str.lower, harmless), "host", "content-length"}
    assert {name: seen.headers[name.lower()] for name in harmless} == harmless


@pytest.mark.parametrize("size", [0, 1, 100_000, 262_144, 262_145, 1_000_000])
def test_bodies_arrive_whole(front: Front, size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    assert front.post(data=body[:size]).json()["bytes"] == size
    assert front.seen[-1].body == body[:size]


@pytest.mark.parametrize("size", [1, 100_000, 262_144])
def test_chunked_bodies_arrive_whole(front: Front, size: int) -> None:
    body = b"x" * size
    assert front.post(data=iter([body[: size // 2], body[size // 2 :]])).json()["bytes"] == size


def test_a_connection_is_kept(front: Front) -> None:
    head = b"POST /predictions/m HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
    both = front.raw(head + b"\r\nx" + head + b"Connection: close\r\n\r\nx")
    assert both.count(b"HTTP/1.1 200") == 2


def test_large_requests_that_wait_are_in_no_small_one_s_way(start: Started) -> None:
    """Slow senders who hold all places of large ones: the instances have nothing to do."""
    front = start(limits=replace(LIMITS, concurrent=4, queue=3, queue_seconds=20.0, body_seconds=20.0))
    head = f"POST /predictions/m HTTP/1.1\r\nHost: x\r\nContent-Length: {BODY}\r\n\r\n".encode()
    with ExitStack() as sending:
        for _ in range(2 + 3):  # a place in each of two instances, and all of the queue
            connection = socket.create_connection((front.host, front.port), timeout=10)
            sending.callback(connection.close)
            connection.sendall(head + b"x" * 600_000)
        end = time.monotonic() + 10
        while front.control.figures().queue < 3:
            assert time.monotonic() < end
            time.sleep(0.02)
        assert [front.post().status_code for _ in range(5)] == [200] * 5
        assert front.post(data=b"x" * 600_000).status_code == 503
