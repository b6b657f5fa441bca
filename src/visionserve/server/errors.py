"""What can go wrong around the server."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from visionserve.runtime.errors import VisionserveError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT)


class ServerError(VisionserveError):
    """The server cannot be started, or a model does not become ready."""


class Busy(ServerError):
    """A server refuses a request for there are too many before it."""


class WrongAnswer(ServerError):
    """A model answers a golden picture otherwise than its archive says."""


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Have what cannot be written there told in our words: a full disk can come at any time, and go.

    Raises:
        ServerError: Something was not written.
    """
    try:
        yield
    except OSError as error:
        full = " has no room left" if error.errno in _FULL else ""
        raise ServerError(f"{error.filename or place}{full}: {error.strerror}") from error
