"""What the client sends to whom, and what it makes of answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.abrupt import Abrupt, running

from visionserve.calls import Refused
from visionserve.client import Client, split
from visionserve.runtime.errors import VisionserveError

if TYPE_CHECKING:
    from pathlib import Path

BEARER = "authorization: bearer sesame"


def test_the_key_goes_to_the_inference_address_alone() -> None:
    with running(Abrupt(200)) as inference, running(Abrupt(200)) as management:
        with Client(inference.address, management.address, "sesame") as client:
            client.predict("resnet50", b"x")
            client.require()
            with pytest.raises(KeyError):  # the answer is a prediction's, and that does not matter here
                client.models()
        assert [BEARER in head.lower() for head in inference.heads] == [True, True]
        assert [BEARER in head.lower() for head in management.heads] == [False]


def test_without_a_key_a_401_says_how_to_name_one() -> None:
    with running(Abrupt(401)) as server:
        with (
            Client(server.address) as client,
            pytest.raises(Refused, match="--key-file, or set VISIONSERVE_API_KEY"),
        ):
            client.predict("resnet50", b"x")
        with Client(server.address, key="wrong") as client, pytest.raises(Refused) as refused:
            client.predict("resnet50", b"x")
    assert refused.value.message == "no"
    assert "wrong" not in str(refused.value)


def test_a_redirection_is_told_and_not_followed() -> None:
    with running(Abrupt(200)) as elsewhere:
        moved = Abrupt(307, headers=f"Location: {elsewhere.address}/predictions/resnet50\r\n")
        said = rf"307 No: no; it is at {elsewhere.address}/predictions/resnet50 now"
        with running(moved) as server, Client(server.address, key="sesame") as client:  # noqa: SIM117
            with pytest.raises(Refused, match=said):
                client.predict("resnet50", b"x")
        assert elsewhere.heads == []


def test_a_socket_is_an_address_as_any_other(tmp_path: Path) -> None:
    with running(Abrupt(200), str(tmp_path / "inference.sock")) as server, Client(server.address) as client:
        assert client.predict("resnet50", b"x") == server.answer
    assert server.heads[0].startswith("POST /predictions/resnet50 HTTP/1.1")


def test_a_path_of_the_address_is_asked_too() -> None:
    with running(Abrupt(200)) as server, Client(f"{server.address}/models/") as client:
        client.predict("resnet50", b"x")
    assert server.heads[0].startswith("POST /models/predictions/resnet50 HTTP/1.1")


def test_without_a_management_address_what_it_lists_is_not_known() -> None:
    with (
        Client("http://127.0.0.1:1") as client,
        pytest.raises(
            VisionserveError, match=r"management address of the server at http://127\.0\.0\.1:1 is not known"
        ),
    ):
        client.only_model()


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://a:8080", ("http://a:8080", "")),
        ("http://a:8080/", ("http://a:8080", "")),
        ("https://a/predictions/resnet50", ("https://a", "resnet50")),
        ("https://a/base/predictions/resnet50/", ("https://a/base", "resnet50")),
        ("unix:/run/inference.sock", ("unix:/run/inference.sock", "")),
    ],
)
def test_a_url_names_a_server_and_perhaps_a_model(url: str, parts: tuple[str, str]) -> None:
    assert split(url) == parts
