"""What state a process is in."""

from __future__ import annotations

from contextlib import suppress

import psutil


def is_stopped(pid: int) -> bool:
    """Whether a signal has stopped a process (SIGSTOP); false where there is none."""
    with suppress(psutil.Error):
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    return False
