"""A server whose behaviour is known, and sessions of traffic to it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.load import fake_server

from visionserve.load.sending import ceiling
from visionserve.load.sending.corpus import Corpus, Picture
from visionserve.load.sending.generator import Session
from visionserve.project import Project

REPOSITORY = Path(__file__).parents[2]

SessionMaker = Callable[..., Session]


def small_corpus() -> Corpus:
    """Two small bodies that the fake server answers with `right`."""
    answers = {"fake": frozenset({fake_server.RIGHT})}
    return Corpus(tuple(Picture(f"{n}.bin", "own", 1.0, answers, bytes(n)) for n in (500, 2000)), {"fake": 1.0})


@contextmanager
def serving(folder: Path, **settings: float) -> Iterator[Session]:
    """A fake server with the given settings, and a session of traffic to it."""
    options = [text for name, value in settings.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    corpus = small_corpus()
    corpus.write(folder / "corpus")
    with ceiling.running([sys.executable, "-m", "tests.load.fake_server", *options]) as host:
        yield Session(Project(REPOSITORY).locustfile, host, corpus, folder / "corpus")


@pytest.fixture
def fake_session(tmp_path: Path) -> Iterator[SessionMaker]:
    """Start a fake server with the given settings, and return a session of traffic to it."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(serving(tmp_path, **settings))
