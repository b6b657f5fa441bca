"""Commands that are given a server's URL ask nothing of this machine, and send their key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.support.abrupt import Abrupt, running
from typer.testing import CliRunner

from visionserve.cli import app
from visionserve.cli.load.session import Server
from visionserve.load.errors import LoadError
from visionserve.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Run

BEARER = "authorization: bearer sesame"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A folder whose own settings cannot be read, with a picture and a key in it."""
    (tmp_path / "config.properties").write_text("no_such_key=1\n")
    (tmp_path / "photo.jpg").write_bytes(b"a picture")
    (tmp_path / "key").write_text("sesame\n")
    return tmp_path


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Abrupt]:
    monkeypatch.delenv("VISIONSERVE_API_KEY", raising=False)
    with running(Abrupt(200)) as server:
        yield server


def test_predict_takes_the_model_from_the_url(server: Abrupt, broken: Path, visionserve: Run) -> None:
    done = visionserve(
        *("predict", "photo.jpg", "--url", f"{server.address}/predictions/resnet50", "--key-file", "key"),
        cwd=broken,
    )
    assert (done.code, "tabby" in done.out) == (0, True), done.err
    (head,) = server.heads
    assert head.startswith("POST /predictions/resnet50 ")
    assert BEARER in head.lower()


def test_predict_takes_the_key_from_the_environment(
    server: Abrupt, broken: Path, visionserve: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISIONSERVE_API_KEY", "sesame")
    done = visionserve("predict", "photo.jpg", "--url", server.address, "--model", "resnet50", cwd=broken)
    assert done.code == 0, done.err
    assert BEARER in server.heads[0].lower()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([""], "name the model"),
        (["/predictions/resnet50", "--model", "vgg16"], "--url names the model 'resnet50', and --model vgg16"),
        (["/predictions/resnet50/1.0"], "--url names the model 'resnet50/1.0'"),
    ],
)
def test_predict_says_which_model_it_lacks(
    options: list[str], said: str, server: Abrupt, broken: Path, visionserve: Run
) -> None:
    path, *more = options
    done = visionserve("predict", "photo.jpg", "--url", server.address + path, *more, cwd=broken)
    assert done.code == 2
    assert said in " ".join(done.err.replace("\u2502", " ").split())
    assert server.heads == []


def test_predict_without_a_url_asks_this_machine(server: Abrupt, broken: Path, visionserve: Run) -> None:
    assert "knows no key 'no_such_key'" in visionserve("predict", "photo.jpg", cwd=broken).err


def test_evaluate_sends_its_key(server: Abrupt, broken: Path, visionserve: Run) -> None:
    (broken / "pictures" / "tabby").mkdir(parents=True)
    done = visionserve(
        *("evaluate", "resnet50", "pictures", "--url", server.address, "--key-file", "key"), cwd=broken
    )
    assert "the answer has no classes" in done.err  # those of this server have none
    assert [BEARER in head.lower() for head in server.heads] == [True]


def test_load_is_told_to_name_the_model(server: Abrupt, broken: Path) -> None:
    with pytest.raises(LoadError, match=rf"name the model that {server.address} is asked for"):
        invoke("load", "run", "--url", server.address, "--root", str(broken))


def test_load_is_not_sent_to_a_socket(broken: Path) -> None:
    with pytest.raises(LoadError, match="load is sent over TCP"):
        invoke("load", "run", "x", "--url", "unix:/run/inference.sock", "--root", str(broken))


def test_a_server_by_its_url_has_nothing_of_this_machine(broken: Path) -> None:
    chosen = Server.chosen("http://a", None, broken / "key")
    assert chosen.addresses(Project(broken)) == ("http://a", "")
    assert chosen.key == "sesame"
    assert "sesame" not in repr(chosen)


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, arguments, catch_exceptions=False)
