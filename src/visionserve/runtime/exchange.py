"""One request on its way through the worker, and what becomes of it."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from visionserve.runtime.wire.errors import ModelFailure, RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import numpy.typing as npt

    from visionserve.runtime.wire.options import Options
    from visionserve.runtime.wire.payload import Reply
    from visionserve.runtime.wire.request import Request
    from visionserve.runtime.wire.responses import Outcome

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Exchange:
    """A request, what was found in it so far, and its outcome once it has one.

    Attributes:
        request: As the server handed it over.
        options: What the client asks of its answer; the model's own until its headers are read.
        reply: How the answers go back.
        pixels: uint8 `[crop, crop, 3]` for each of its pictures.
        decode_ms: What its pictures took to decode, in milliseconds.
        outcome: Its answer or its error; None while it is still to be answered.
    """

    request: Request
    options: Options
    reply: Reply = "one"
    pixels: list[npt.NDArray[np.uint8]] = field(default_factory=list)
    decode_ms: float = 0.0
    outcome: Outcome | None = None

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Make whatever is raised inside this exchange's outcome, so that no other one is affected."""
        try:
            yield
        except RequestError as error:
            self.outcome = error
        except Exception:
            logger.exception("a request failed unexpectedly")
            self.outcome = unexpected()


def unexpected() -> ModelFailure:
    """The outcome of a request that met an error of our own; the log says which."""
    return ModelFailure("the model could not answer this request; the server's log says why")
