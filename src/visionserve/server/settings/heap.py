"""Whether Java's heap holds the requests that may wait: a client that fills a queue must not end the server."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from visionserve.server.errors import ServerError
from visionserve.server.host import memory
from visionserve.server.settings import job_queue

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from visionserve.server.settings.properties import Properties

_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def require_room(properties: Properties, archives: Mapping[str, Path]) -> str | None:
    """Check that the heap holds every model's full queue.

    Args:
        properties: How TorchServe is to run.
        archives: The .mar file of each model that is to be served.

    Returns:
        A sentence with the numbers if it holds each queue, and not all of them at once.

    Raises:
        ServerError: One model's queue alone is more than it holds.
    """
    body, heap = properties.max_request_size, size(properties)
    full = {name: job_queue.size(properties, mar) * body for name, mar in archives.items()}
    for name, queued in full.items():
        if needed(queued) > heap:
            raise ServerError(
                f"{name}: {job_queue.size(properties, archives[name])} requests may wait (jobQueueSize), each of"
                f" {_text(body)} (max_request_size): {_text(queued)} with what Java needs beside them are more"
                f" than its heap of {_text(heap)}, so clients could end the server; {_remedy(needed(queued))}"
            )
    together = sum(full.values())
    if needed(together) <= heap:
        return None
    return (
        f"the full queues of {', '.join(full)} together are {_text(together)}, more than Java's heap of"
        f" {_text(heap)} holds: clients that fill all of them could end the server; {_remedy(needed(together))}"
    )


def needed(queued: int) -> int:
    """The heap that holds so many bytes of waiting requests, in bytes.

    Java puts each large body into whole regions of its own; what is being read and answered comes on top.
    """
    return queued + queued // 4 + (64 << 20)


def size(properties: Properties) -> int:
    """The most that Java's heap grows to, in bytes: as `vmargs` says, else a quarter of the memory.

    Raises:
        ServerError: It is said, and cannot be understood.
    """
    heap = None
    for flag in properties.vmargs:  # the last of several counts
        found = re.fullmatch(r"-(?:Xmx|XX:MaxHeapSize=)(.*)", flag)
        if found:
            heap = _bytes(flag, found[1])
        share = re.fullmatch(r"-XX:MaxRAMPercentage=([\d.]+)", flag)
        if share:
            heap = int(memory.total() * float(share[1]) / 100)
    return memory.total() // 4 if heap is None else heap


def _bytes(flag: str, text: str) -> int:
    found = re.fullmatch(r"(\d+)([kmgt]?)", text.lower())
    if found is None:
        raise ServerError(f"config.properties: vmargs has {flag}: it must be a size such as -Xmx2g")
    return int(found[1]) * _UNITS[found[2]]


def _remedy(heap: int) -> str:
    return f"write -Xmx{-(-heap // (1 << 20))}m into vmargs, or a smaller jobQueueSize or max_request_size"


def _text(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
