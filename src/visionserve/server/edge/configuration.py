"""HAProxy's configuration: the same settings give the same text."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from visionserve import __version__
from visionserve.runtime.wire import form, responses
from visionserve.server.edge import tables
from visionserve.server.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from visionserve.server.settings.serving import Serving

# A model's name or version in a path: no `..`, nothing encoded.
NAME = "[A-Za-z0-9][A-Za-z0-9_.-]{0,127}"

# Of a request an instance gets these headers and no others. `describe` and `explain` would change what TorchServe
# does with it, and what a proxy is believed to have written could be any client's word.
HEADERS = (
    "content-type",
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "inference-header-content-length",
    "x-top-k",
    "x-response",
    "x-request-deadline-ms",
)

# What HAProxy itself may answer; the second list tells when to come again.
ERRORS = (
    (400, "BadRequest", "this is no HTTP request"),
    (403, "Forbidden", "this is not allowed"),
    (408, "RequestTimeout", "the request did not come in time"),
    (413, "RequestTooLarge", "the request is too large"),
    (500, "InternalError", "the server failed"),
)
WAITS = (
    (502, "Unavailable", "the instance ended while it answered"),
    (503, "Unavailable", "no instance took the request in time"),
    (504, "Timeout", "the instance did not answer in time"),
)

_OWN_CONNECTIONS = 64
# One thread carries thousands of pictures a second. A second one took 0.15 ms more of each request, and twice the
# processor's time, where it had to be woken for it; so only those who have cores to spare get more.
_CORES_A_THREAD, _MOST_THREADS = 8, 4
_BUFFER_SLACK = 8192  # bytes: what HAProxy may add to a head, and its own bookkeeping
_RATE_SECONDS = 10  # over which a key's requests are averaged; docs and messages say ten
_LAST_REQUESTS = 5.0  # seconds that an old process is given beyond the longest request


@dataclass(frozen=True)
class Slot:
    """A place for an instance; which one is in it, and whether it is of use, is said while HAProxy runs.

    Attributes:
        name: A word.
        socket: Where an instance in this slot listens.
    """

    name: str
    socket: Path


def render(
    settings: Serving,
    slots: Sequence[Slot],
    *,
    metadata: Mapping[str, Path] | None = None,
    up: Collection[str] = (),
    cores: int = 1,
) -> str:
    """The configuration's text.

    Args:
        settings: How to serve; nothing in it may be left open, see `Serving.completed`.
        slots: All there are.
        metadata: For `MODEL` or `MODEL/VERSION` the file that describes it in the Open Inference Protocol's words.
        up: The slots that are of use from the start.
        cores: How many may be used.

    Raises:
        ServerError: A name or a path cannot be written, or a setting is left open.
    """
    if settings.edge.address is None or settings.limits.body is None:
        raise ServerError("the edge needs an address and the largest body")
    metadata = metadata or {}
    for name in (*(slot.name for slot in slots), *(part for key in metadata for part in key.split("/", 1))):
        if not re.fullmatch(NAME, name):
            raise ServerError(f"{name!r} cannot stand in a path: use letters, digits, '_', '.' and '-'")
    environment = Environment(
        loader=PackageLoader(__package__, "."),
        autoescape=False,  # noqa: S701 - no HTML
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"quoted": quoted, "milliseconds": _milliseconds}
    limits = settings.limits
    longest = limits.header_seconds + limits.body_seconds + limits.queue_seconds + 3 * limits.answer_seconds
    text = environment.get_template("haproxy.cfg.j2").render(
        edge=settings.edge,
        keys=settings.keys,
        limits=limits,
        rate=math.ceil(_RATE_SECONDS * settings.keys.requests_per_second) if settings.keys else 0,
        rate_seconds=_RATE_SECONDS,
        slots=slots,
        hop=tables.HOP,
        up=up,
        metadata=sorted((_versioned(key), path) for key, path in metadata.items()),
        server=json.dumps(
            {"name": "visionserve", "version": __version__, "extensions": ["binary_tensor_data"]},
            separators=(",", ":"),
        ),
        name=NAME,
        headers=HEADERS,
        form=form.HEADER,
        batch_size=responses.BATCH_SIZE,
        error=_error,
        errors=ERRORS,
        waits=WAITS,
        restart="%[str(restart_s),map_str_int(edge.map,5)]",
        own=_OWN_CONNECTIONS,
        large=limits.large,
        # Twice, for those that are led on from one hop to another.
        hops=2 * len(slots) * (limits.concurrent + limits.large),
        threads=min(max(1, cores // _CORES_A_THREAD), _MOST_THREADS),
        slack=_BUFFER_SLACK,
        lifetime=max(longest, limits.upload_seconds, limits.idle_seconds) + _LAST_REQUESTS,
    )
    # Blank lines and spaces at lines' ends are the template's own.
    return re.sub(r"[ \t]+$", "", re.sub(r"\n{3,}", "\n\n", text), flags=re.MULTILINE)


def quoted(path: Path | str) -> str:
    """A word for HAProxy, whatever is in it.

    Raises:
        ServerError: It has a line's end in it.
    """
    text = str(path)
    if not text.isprintable():
        raise ServerError(f"{text!r} cannot be written into HAProxy's configuration")
    return '"' + re.sub(r'(["\\$])', r"\\\1", text) + '"'


def _versioned(key: str) -> str:
    """`MODEL/VERSION` as the Open Inference Protocol's paths have it."""
    return "/versions/".join(key.split("/", 1))


def _error(status: int, kind: str, message: str) -> str:
    return json.dumps({"code": status, "type": kind, "message": message})


def _milliseconds(seconds: float) -> str:
    return f"{max(1, round(1000 * seconds))}ms"
