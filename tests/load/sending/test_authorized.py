"""Load carries the key that the server wants, and keeps it to itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.load import fake_server
from tests.load.conftest import REPOSITORY, small_corpus
from tests.support.abrupt import Abrupt, running

from visionserve.load.plan import Plan
from visionserve.load.sending.generator import Session
from visionserve.project import Project

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_every_request_carries_the_key_and_nothing_that_is_left_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VISIONSERVE_API_KEY", raising=False)
    corpus = small_corpus()
    corpus.write(tmp_path / "corpus")
    plan = Plan(users=1, warm_up=0, duration=0.5)
    with running(Abrupt(200, answer={fake_server.RIGHT: 1.0})) as server:
        session = Session(
            Project(REPOSITORY).locustfile, server.address, corpus, tmp_path / "corpus", key="sesame"
        )
        run = session.run(plan, tmp_path / "run")
        posts = [head.lower() for head in server.heads if head.startswith("POST ")]
    assert len(posts) >= len(run.samples) > 0
    assert all("authorization: bearer sesame" in head for head in posts)
    assert not any("sesame" in word for word in session.command(plan))
    assert "sesame" not in repr(session)
    assert not any(b"sesame" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
