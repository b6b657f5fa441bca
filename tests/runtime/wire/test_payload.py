"""How a multipart body is told from one that lost parts; the forms themselves are tested through the handler."""

from __future__ import annotations

import pytest
import requests

from visionserve.runtime.wire import payload
from visionserve.runtime.wire.errors import InvalidHeader, InvalidRequest
from visionserve.runtime.wire.request import Request


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


@pytest.mark.parametrize("length", ["9" * 5000, "\N{ARABIC-INDIC DIGIT FOUR}" * 3], ids=["too long", "not ASCII"])
def test_an_impossible_content_length_is_refused(length: str) -> None:
    request = Request({"picture": b"1"}, {"Content-Type": "multipart/form-data", "Content-Length": length})
    with pytest.raises(InvalidHeader, match="Content-Length is ") as refused:
        payload.parse(request, 32, 1)
    assert len(str(refused.value)) < 120
