"""JSON of a client's, taken apart within bounds of memory and of the interpreter's time."""

from __future__ import annotations

import gc
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from visionserve.runtime.wire.errors import InvalidJson, InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

# A parsed value takes up to 64 bytes for 2 of text; this keeps the document of one request below some 300 MB.
_MAX_VALUES = 5_000_000
# Lists, objects and names. Four million kept the interpreter, and every neighbour, for 2.7 s while its garbage
# collector looked at them.
_MAX_PARTS = 250_000


def parse(text: bytes | bytearray, usage: str) -> Any:
    """What a document says.

    Args:
        text: The document.
        usage: What a body may be, for the message of one that is no JSON.

    Raises:
        InvalidRequest: It has too many values, or too many lists, objects and names.
        InvalidJson: It is no JSON.
    """
    if sum(map(text.count, (b",", b"[", b"{"))) > _MAX_VALUES:
        raise InvalidRequest(f"the JSON document has more than {_MAX_VALUES} values; send binary tensors")
    if sum(map(text.count, (b"[", b"{", b":"))) > _MAX_PARTS:
        raise InvalidRequest(
            f"the JSON document has more than {_MAX_PARTS} lists, objects and names; send one flat list of values,"
            " or binary tensors"
        )
    try:
        with _uncollected():
            return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        place = f" at byte {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidJson(f"the body starts as JSON and is not valid JSON{place}; {usage}") from None


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector, which would look at all that is parsed again and again.

    250,000 lists took 0.5 s of the interpreter with it, and 0.07 s without.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        # Of several threads that parse, the one that found it enabled enables it.
        if was_enabled:
            gc.enable()


def _no_constant(name: str) -> float:
    raise ValueError(name)
