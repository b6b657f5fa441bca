"""What a decoder may use for one picture. The kernel sees to it: one that uses more is ended or gets no memory."""

from __future__ import annotations

import resource
import signal
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of one core, for all pictures of a request together. The others of its batch wait for it, and a moment more for a
# fresh decoder and for cores that are busy, but no more than a second: with 1.0 it was 1.1 s.
CPU_SECONDS = 0.8
# For a decoder that waits instead of computing, or whose core others use as well.
WALL_SECONDS = 10.0
# Beside what pixels take.
MEMORY = 300_000_000
# Of one pixel at most: Pillow's own 4 bytes, once more as it is converted and once more as it is turned.
BYTES_PER_PIXEL = 12

# A timer of 0 seconds is none.
_LEAST = 1e-3
_PAGE = resource.getpagesize()
_STATM = Path("/proc/self/statm")


def confine(max_pixels: int, most_written: int) -> None:
    """Bound this process for good.

    Args:
        max_pixels: The most pixels it may have to decode.
        most_written: The largest file it may write, in bytes.
    """
    # Whoever started the server may have had them ignored or blocked, and that is inherited.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPROF})
    # A crash leaves no file behind: a core dump would hold the picture of a client.
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, most_written)
    if _STATM.exists():  # Linux; elsewhere address spaces have no limit that is kept
        used = int(_STATM.read_text().split()[0]) * _PAGE
        _limit(resource.RLIMIT_AS, used + MEMORY + BYTES_PER_PIXEL * max_pixels)


def _limit(what: int, most: int) -> None:
    hard = resource.getrlimit(what)[1]
    least = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (least, least))


@dataclass
class Spent:
    """What a picture took of a core, in seconds, once it is decoded."""

    seconds: float = 0.0


@contextmanager
def one_picture(seconds: float) -> Iterator[Spent]:
    """Bound what is computed inside: SIGPROF ends the process when it has used so many seconds of a core."""
    signal.setitimer(signal.ITIMER_PROF, max(seconds, _LEAST))
    spent, start = Spent(), time.process_time()
    try:
        yield spent
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        spent.seconds = time.process_time() - start
