"""Where the key comes from, and that nothing tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from visionserve import api_key
from visionserve.runtime.errors import VisionserveError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(api_key.VARIABLE, raising=False)


def test_without_a_key_none_is_sent() -> None:
    assert api_key.find() is None
    assert api_key.header(None) == {}


def test_a_file_comes_before_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(api_key.VARIABLE, " of-the-environment\n")
    assert api_key.find() == "of-the-environment"
    (tmp_path / "key").write_text("of-the-file\n")
    assert api_key.find(tmp_path / "key") == "of-the-file"
    assert api_key.header("of-the-file") == {"Authorization": "Bearer of-the-file"}


@pytest.mark.parametrize("text", ["two words", "two\nlines", "", "k\u00e9y", "a\x00b", "\udcff"])
def test_what_is_no_key_is_refused_and_not_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(VisionserveError, match="key: holds no key, which is one word on one line") as refused:
        api_key.find(tmp_path / "key")
    assert not text or text not in str(refused.value)


def test_a_key_of_the_environment_that_would_be_two_headers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(api_key.VARIABLE, "a\r\nX-Other: b")
    with pytest.raises(VisionserveError, match=f"{api_key.VARIABLE}: holds no key"):
        api_key.find()


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(VisionserveError, match=r"none: cannot be read: No such file"):
        api_key.find(tmp_path / "none")
