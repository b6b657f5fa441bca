"""A server whose behaviour is known, and sessions of traffic to it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.load import fake_server
from visionserve.load import ceiling
from visionserve.load.corpus import Corpus, Picture
from visionserve.load.generator import LOCUSTFILE, Session

REPOSITORY = Path(__file__).parents[2]

SessionMaker = Callable[..., Session]


def small_corpus() -> Corpus:
    """Two small bodies that the fake server answers with `right`."""
    answers = {"fake": frozenset({fake_server.RIGHT})}
    return Corpus(tuple(Picture(f"{n}.bin", "own", 1.0, answers, bytes(n)) for n in (500, 2000)), {"fake": 1.0})


@pytest.fixture
def fake_session(tmp_path: Path) -> Iterator[SessionMaker]:
    """Start a fake server with the given settings, and return a session of traffic to it."""
    with ExitStack() as stack:

        def make(**settings: float) -> Session:
            options = [
                text for name, value in settings.items() for text in (f"--{name.replace('_', '-')}", str(value))
            ]
            host = stack.enter_context(ceiling.running([sys.executable, "-m", "tests.load.fake_server", *options]))
            corpus = small_corpus()
            corpus.write(tmp_path / "corpus")
            return Session(REPOSITORY / LOCUSTFILE, host, corpus, tmp_path / "corpus")

        yield make
