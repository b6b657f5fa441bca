"""Forms that the edge hands over whole: what any client sends is found, and nothing costs more than its bytes."""

from __future__ import annotations

import contextlib
import time

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from visionserve.runtime.wire import form, payload
from visionserve.runtime.wire.errors import EmptyRequest, InvalidRequest, RequestError, TooManyImages
from visionserve.runtime.wire.request import Request

MEGABYTE = 1 << 20
# What stands in a name as it is, unescaped.
NAMED = st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters='"\\')
TYPE = "multipart/form-data; boundary=xyz"
# 20 MB each: parts of nothing, a head without an end, boundaries alone, half boundaries, and no boundary at all.
BOMBS = {
    "tiny": b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n',
    "head": b"--xyz\r\nContent-Disposition: form-data; name=a; ",
    "boundaries": b"\r\n--xyz",
    "halves": b"\r\n--xy",
    "dashes": b"-",
}


def given_form(body: bytes, content_type: str = TYPE) -> Request:
    """As the edge hands it over."""
    return Request({"body": body}, {"Content-Type": "application/octet-stream", form.HEADER: content_type})


@given(
    st.lists(
        st.tuples(
            st.text(
                st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters='"\\'), max_size=20
            ),
            st.binary(max_size=300),
            st.booleans(),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_what_a_client_library_writes_is_read(parts: list[tuple[str, bytes, bool]]) -> None:
    fields = [(name, ("x.jpg", data, "image/jpeg") if is_file else data) for name, data, is_file in parts]
    body, content_type = urllib3.encode_multipart_formdata(fields)
    found = form.read(body, content_type)
    assert [(part.name, part.content, part.is_file) for part in found] == parts


def test_files_that_share_a_name_are_all_answered() -> None:
    body, content_type = urllib3.encode_multipart_formdata([("data", ("x.jpg", b"1")), ("data", ("x.jpg", b"2"))])
    found = payload.parse(given_form(body, content_type), 4, 1)
    assert (found.pictures, found.reply) == ((b"1", b"2"), "list")
    with pytest.raises(TooManyImages):
        payload.parse(given_form(body, content_type), 1, 1)


def test_one_file_is_one_picture_and_text_fields_are_passed_over() -> None:
    body, content_type = urllib3.encode_multipart_formdata([("note", "hello"), ("any", ("x.jpg", b"picture"))])
    found = payload.parse(given_form(body, content_type), 4, 1)
    assert (found.pictures, found.reply) == ((b"picture",), "one")
    body, content_type = urllib3.encode_multipart_formdata({"data": b"picture", "note": "hello"})
    assert payload.parse(given_form(body, content_type), 4, 1).pictures == (b"picture",)
    body, content_type = urllib3.encode_multipart_formdata({"note": "hello"})
    with pytest.raises(EmptyRequest):
        payload.parse(given_form(body, content_type), 4, 1)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"--xyz\r\n\r\n1\r\n--xyz", TYPE),
        (b"", TYPE),
        (b"--xyz\r\nno end of the head--xyz--", TYPE),
        (b"--xyz\r\n\r\n1\r\n--xyz--", "multipart/form-data"),
        (b"--xyz\r\n\r\n1\r\n--xyz--", "multipart/form-data; boundary="),
    ],
    ids=["cut short", "empty", "no head", "no boundary", "an empty boundary"],
)
def test_what_is_no_form_is_said(body: bytes, content_type: str) -> None:
    with pytest.raises(RequestError):
        payload.parse(given_form(body, content_type), 4, 1)


@pytest.mark.parametrize("kind", BOMBS)
def test_twenty_megabytes_of_it_are_refused_at_once(kind: str) -> None:
    body = BOMBS[kind] * (20 * MEGABYTE // len(BOMBS[kind])) + b"\r\n--xyz--"
    start = time.process_time()
    with pytest.raises(RequestError):
        payload.parse(given_form(body), 32, 50_000_000)
    assert time.process_time() - start < 0.5


@given(st.binary(max_size=200), st.text(max_size=80))
def test_whatever_comes_is_read_or_refused(body: bytes, content_type: str) -> None:
    with contextlib.suppress(InvalidRequest):
        form.read(body, content_type)
