"""A golden picture asked of an instance, which may take long to answer it."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Question:
    """A question asked in a thread of its own, so that whoever asks goes on looking at what can die meanwhile.

    No executor's thread: the end of the server would wait for it, and an ill instance may not answer for a minute.

    Attributes:
        is_begun: Whether it was asked and its answer not taken.
        restarted: How many workers had been started again when it was asked.
    """

    def __init__(self) -> None:
        self.is_begun = False
        self.restarted = 0
        self._found: queue.SimpleQueue[tuple[str | None, bool] | Exception] = queue.SimpleQueue()

    @property
    def is_done(self) -> bool:
        """Whether there is an answer that nobody has taken."""
        return not self._found.empty()

    def begin(self, ask: Callable[[], tuple[str | None, bool]], restarted: int) -> None:
        """Ask.

        Args:
            ask: Called in the thread; says what is wrong, if anything is, and whether an answer was wrong.
            restarted: How many workers have been started again by now.
        """
        self.is_begun, self.restarted = True, restarted

        def run() -> None:
            try:
                self._found.put(ask())
            except Exception as error:  # whoever takes the answer is told
                self._found.put(error)

        threading.Thread(target=run, daemon=True, name="golden picture").start()

    def result(self) -> tuple[str | None, bool]:
        """The answer; another question can be asked now."""
        self.is_begun, found = False, self._found.get()
        if isinstance(found, Exception):
            raise found
        return found
