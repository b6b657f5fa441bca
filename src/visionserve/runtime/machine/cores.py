"""The processor cores this process may really use."""

from __future__ import annotations

import math
import os
from pathlib import Path

_CGROUP_V2 = Path("/sys/fs/cgroup/cpu.max")
_CGROUP_V1 = Path("/sys/fs/cgroup/cpu")
# How many servers with the same models share these cores; whoever starts more than one says so.
SHARED_BY = "VISIONSERVE_INSTANCES"


def available() -> int:
    """Cores by affinity and by the container's CPU quota, at least 1.

    The quota is `cpu.max` of cgroup v2 or `cpu.cfs_quota_us` / `cpu.cfs_period_us` of v1
    (https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu); a fraction of a core rounds up.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota()
    return max(1, cores if quota is None else min(cores, math.ceil(quota)))


def threads(workers: int) -> int:
    """How many threads each of several workers computes with, so that together they make up the cores; at least 1.

    A single worker has all cores to itself, which answers a lone request soonest. Where several servers share the
    cores, as the variable `VISIONSERVE_INSTANCES` tells, each has its part: two that each computed with both of
    two cores, whose threads spin while they wait for one another, answered 13 requests/s of 8 clients, not 130.

    Args:
        workers: Those of one server.

    Raises:
        ValueError: The variable is no whole number above 0.
    """
    return max(1, available() // (workers * _servers()))


def _servers() -> int:
    said = os.environ.get(SHARED_BY, "1")
    if not (said.isascii() and said.isdigit() and int(said) > 0):
        raise ValueError(f"{SHARED_BY} is {said!r}: it must be a whole number, at least 1")
    return int(said)


def _quota() -> float | None:
    try:
        if _CGROUP_V2.exists():
            limit, period = _CGROUP_V2.read_text().split()
        else:
            limit = (_CGROUP_V1 / "cpu.cfs_quota_us").read_text()
            period = (_CGROUP_V1 / "cpu.cfs_period_us").read_text()
        return float(limit) / float(period) if limit.strip() not in ("max", "-1") else None
    except (OSError, ValueError):
        return None
