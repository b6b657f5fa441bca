"""What one client asks of one answer, by header; TorchServe never hands the query string on."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast, get_args

from visionserve.runtime.model import ResponseShape
from visionserve.runtime.wire.errors import DeadlineExceeded, InvalidHeader

if TYPE_CHECKING:
    from collections.abc import Mapping

TOP_K = "X-Top-K"
RESPONSE = "X-Response"
DEADLINE = "X-Request-Deadline-Ms"

_SHAPES: tuple[str, ...] = get_args(ResponseShape)
# Smaller numbers are moments before September 2001, that is durations sent by mistake.
_EARLIEST = 10**12
_DIGITS = 15


@dataclass(frozen=True, kw_only=True)
class Options:
    """How one request wants to be answered.

    Attributes:
        top_k: How many classes an answer holds.
        response: Labels with probabilities, or all that is known of the answer.
        deadline: When the answer is of no use any more, in milliseconds since 1970, or None.
    """

    top_k: int
    response: ResponseShape
    deadline: int | None = None

    @classmethod
    def read(cls, headers: Mapping[str, object], default: Options) -> Options:
        """The options in a request's headers, over the model's own.

        Args:
            headers: Names as sent; they are compared without regard to case. Values that are not text are not
                headers.
            default: What holds where a header is absent.

        Raises:
            InvalidHeader: A value is not one the header can have.
        """
        sent = {name.lower(): value.strip() for name, value in headers.items() if isinstance(value, str)}
        top_k, shape, deadline = (sent.get(name.lower()) for name in (TOP_K, RESPONSE, DEADLINE))
        return cls(
            top_k=default.top_k if top_k is None else _top_k(top_k),
            response=default.response if shape is None else _shape(shape),
            deadline=default.deadline if deadline is None else _deadline(deadline),
        )

    def require_time(self) -> None:
        """Check that the deadline has not passed.

        Raises:
            DeadlineExceeded: It has.
        """
        late = 0.0 if self.deadline is None else time.time() * 1e3 - self.deadline
        if late > 0:
            raise DeadlineExceeded(f"the deadline passed {late:.0f} ms before this request could be answered")


def _top_k(value: str) -> int:
    number = _whole(value)
    if not number:
        raise InvalidHeader(f"{TOP_K} is {_shown(value)}; send how many classes to answer, a whole number from 1")
    return number


def _shape(value: str) -> ResponseShape:
    if value.lower() not in _SHAPES:
        raise InvalidHeader(f"{RESPONSE} is {_shown(value)}; send {' or '.join(_SHAPES)}")
    return cast("ResponseShape", value.lower())


def _deadline(value: str) -> int:
    number = _whole(value)
    if number is None or number < _EARLIEST:
        raise InvalidHeader(
            f"{DEADLINE} is {_shown(value)}; send a moment in milliseconds since 1970 (UTC), not a duration"
        )
    return number


def _whole(value: str) -> int | None:
    return int(value) if re.fullmatch(rf"[0-9]{{1,{_DIGITS}}}", value) else None


def _shown(value: str) -> str:
    return repr(value if len(value) <= 40 else value[:40] + "...")
