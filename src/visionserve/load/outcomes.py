"""What became of a request: told apart by status, error `type`, and whether the answer was right."""

from __future__ import annotations

from enum import IntEnum
from http import HTTPStatus

# TorchServe's error type when a model's queue is full or it has no worker; a handler that raised gets 503 too,
# with another type.
_QUEUE_FULL = "ServiceUnavailableException"


class Outcome(IntEnum):
    """The class of one request's outcome; the values are stored, so they never change meaning."""

    OK = 0
    REFUSED_BAD = 1
    REJECTED = 2
    HANDLER_ERROR = 3
    CLIENT_ERROR = 4
    TIMEOUT = 5
    RESET = 6
    WRONG = 7

    @property
    def right(self) -> bool:
        """Whether the server did what it should."""
        return self in RIGHT

    @property
    def meaning(self) -> str:
        """The class in words."""
        return _MEANINGS[self]


RIGHT = frozenset({Outcome.OK, Outcome.REFUSED_BAD})

_MEANINGS = {
    Outcome.OK: "right answer",
    Outcome.REFUSED_BAD: "bad picture refused, as it should be",
    Outcome.REJECTED: "rejected: the queue was full",
    Outcome.HANDLER_ERROR: "error in the server or the handler",
    Outcome.CLIENT_ERROR: "good picture refused",
    Outcome.TIMEOUT: "no answer in time",
    Outcome.RESET: "connection refused, reset or closed",
    Outcome.WRONG: "wrong answer",
}


def of_answer(status: int, error_type: str, is_bad: bool, label_is_right: bool) -> Outcome:
    """Classify an answer that came back.

    Args:
        status: Its HTTP status.
        error_type: The `type` of its error document, empty if there is none.
        is_bad: Whether the picture was a bad one, for which only a 4xx is right.
        label_is_right: Whether the best label is one that the picture is known to have.
    """
    if status == HTTPStatus.OK:
        return Outcome.OK if label_is_right and not is_bad else Outcome.WRONG
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Outcome.REJECTED
    if status == HTTPStatus.SERVICE_UNAVAILABLE and error_type == _QUEUE_FULL:
        return Outcome.REJECTED
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return Outcome.REFUSED_BAD if is_bad else Outcome.CLIENT_ERROR
    return Outcome.HANDLER_ERROR


def of_failure(error: BaseException) -> Outcome:
    """Classify a request that got no answer."""
    return Outcome.TIMEOUT if isinstance(error, TimeoutError) else Outcome.RESET
