"""A question asked of an instance, which may take long to answer it."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_POLL = 0.05  # seconds


class Question(Generic[T]):
    """A call made in a thread of its own, so that whoever asks goes on looking at what can die meanwhile.

    No executor's thread: the end of the server would wait for it, and an ill instance may not answer for a minute.

    Attributes:
        is_begun: Whether it was asked and its answer not taken.
    """

    def __init__(self) -> None:
        self.is_begun = False
        self._found: queue.SimpleQueue[tuple[T | None, Exception | None]] = queue.SimpleQueue()

    @property
    def is_done(self) -> bool:
        """Whether there is an answer that nobody has taken."""
        return not self._found.empty()

    def begin(self, ask: Callable[[], T]) -> None:
        """Ask.

        Raises:
            RuntimeError: No thread can be had.
        """

        def run() -> None:
            try:
                self._found.put((ask(), None))
            except Exception as error:  # whoever takes the answer is told
                self._found.put((None, error))

        threading.Thread(target=run, daemon=True, name="question").start()
        self.is_begun = True

    def result(self) -> T:
        """The answer, or the error that was raised instead; another question can be asked now."""
        answer, error = self._found.get()
        self.is_begun = False
        if error is not None:
            raise error
        return answer  # type: ignore[return-value]  # what was asked returned it


def ask(call: Callable[[], T], meanwhile: Callable[[], None]) -> T:
    """The answer to a call, while something else is done again and again, which may raise to end the waiting."""
    question: Question[T] = Question()
    question.begin(call)
    while not question.is_done:
        meanwhile()
        time.sleep(_POLL)
    return question.result()
