"""How a multipart body is told from one that lost parts; the forms themselves are tested through the handler."""

from __future__ import annotations

import gc
import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import requests

from visionserve.runtime.wire import json_document, payload
from visionserve.runtime.wire.errors import InvalidHeader, InvalidRequest, RequestError
from visionserve.runtime.wire.request import Request

if TYPE_CHECKING:
    from collections.abc import Callable


def arrives(files: list[tuple[str, tuple[str, bytes]]]) -> Request:
    """A multipart request as `requests` writes it and TorchServe keeps it: of equal names the last."""
    prepared = requests.Request("POST", "http://localhost/", files=files).prepare()
    fields = {name: content for name, (_, content) in files}
    return Request(fields, dict(prepared.headers))


@pytest.mark.parametrize("size", [1, 100, 100_000])
@pytest.mark.parametrize("count", [1, 2, 30])
def test_parts_that_all_arrived_are_taken(count: int, size: int) -> None:
    request = arrives([(f"picture-{n}", ("ä" * 100 + ".jpg", bytes(size))) for n in range(count)])
    assert len(payload.parse(request, 32, 1).pictures) == count


@pytest.mark.parametrize("size", [20_000, 1_000_000])
@pytest.mark.parametrize("count", [2, 5])
def test_parts_that_share_a_name_are_an_error_not_an_answer_too_few(count: int, size: int) -> None:
    with pytest.raises(InvalidRequest, match="give every part a name of its own"):
        payload.parse(arrives([("picture", ("x.jpg", bytes(size)))] * count), 32, 1)
    with pytest.raises(InvalidRequest, match="give every part a name of its own"):
        payload.parse(arrives([("a", ("x.jpg", bytes(size)))] * count + [("b", ("y.jpg", b"1"))]), 32, 1)


def test_a_document_of_very_many_names_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two million names that all differ kept the interpreter for a second."""
    document = {"data": 0, **{str(key): key for key in range(json_document._MAX_PARTS)}}
    monkeypatch.setattr(json, "loads", None)
    with pytest.raises(InvalidRequest, match=f"more than {json_document._MAX_PARTS} lists, objects and names"):
        payload.parse(Request({"body": json.dumps(document).encode()}), 4, 10**6)


def test_a_long_content_type_hides_no_part() -> None:
    request = arrives([("picture", ("x.jpg", bytes(5_000)))] * 2)
    padded = {**request.sent, "Content-Type": request.sent["Content-Type"] + "; padding=" + "x" * 3_000}
    with pytest.raises(InvalidRequest, match="give every part a name of its own"):
        payload.parse(Request(request.fields, padded), 32, 1)


def test_a_long_boundary_is_told_from_a_lost_part() -> None:
    boundary = "b" * 3_000
    length = 2 * (3_000 + 100) + 3_000 + 10
    headers = {"Content-Type": f'multipart/form-data; boundary="{boundary}"', "Content-Length": str(length)}
    assert len(payload.parse(Request({"a": b"1", "b": b"2"}, headers), 32, 1).pictures) == 2


LARGEST = 20_000_000  # bytes: `max_request_size`
# One of the many parts of a JSON document, given its number.
PARTS: dict[str, Callable[[int], bytes]] = {
    "lists": lambda _: b"[7]",
    "lists-in-lists": lambda _: b"[[[[[[7]]]]]]",
    "objects": lambda _: b'{"":{}}',
    "names": lambda number: b'{"%x":1}' % number,
    "numbers": lambda _: b"7",
    "texts": lambda number: b'"%x"' % number,
}


@pytest.mark.parametrize("part", PARTS)
def test_no_json_document_keeps_the_interpreter_for_a_second(part: str) -> None:
    """For that long the requests beside it would wait, whichever thread parses it."""
    one = PARTS[part](1 << 20)
    lists, costly = (sum(map(one.count, kinds)) for kinds in ((b"[", b"{"), (b"[", b"{", b":")))
    most = min(LARGEST // (len(one) + 1), (json_document._MAX_VALUES - 10) // (lists + 1))
    for count in (most, min(most, (json_document._MAX_PARTS - 10) // max(1, costly))):
        data = b",".join(map(PARTS[part], range(count)))
        tensor = b'"datatype":"UINT8","shape":[1,1,%d,3],"data":[%s]' % (count // 3, data)
        request = Request({"body": b'{"inputs":[{%s}]}' % tensor}, {"Content-Type": "application/json"})
        start = time.process_time()
        with suppress(RequestError):
            payload.parse(request, 32, 50_000_000)
        assert time.process_time() - start < 1


@pytest.mark.parametrize("length", ["9" * 5000, "\N{ARABIC-INDIC DIGIT FOUR}" * 3], ids=["too long", "not ASCII"])
def test_an_impossible_content_length_is_refused(length: str) -> None:
    request = Request({"picture": b"1"}, {"Content-Type": "multipart/form-data", "Content-Length": length})
    with pytest.raises(InvalidHeader, match="Content-Length is ") as refused:
        payload.parse(request, 32, 1)
    assert len(str(refused.value)) < 120


@pytest.mark.parametrize("text", [b'{"instances": [{"b64": "AAAA"}]}', b'{"instances": [', b"[" * 100_000])
def test_the_garbage_collector_goes_on_whatever_is_parsed(text: bytes) -> None:
    assert gc.isenabled()
    with suppress(RequestError):
        payload.parse(Request({"body": text}, {"Content-Type": "application/json"}), 32, 1)
    assert gc.isenabled()
