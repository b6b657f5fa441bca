"""Where and with what a run was made: processor, GPU, versions, commit."""

from __future__ import annotations

import platform
import subprocess
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from visionserve.runtime.machine import cores

_PACKAGES = (
    "visionserve",
    "locust",
    "gevent",
    "geventhttpclient",
    "numpy",
    "torch",
    "torchvision",
    "torchserve",
    "openvino",
    "pillow",
)
_GIBIBYTE = 1 << 30


def describe() -> dict[str, Any]:
    """This machine's hardware and system."""
    return {
        "processor": processor(),
        "cores": cores.available(),
        "memory_gib": round(psutil.virtual_memory().total / _GIBIBYTE, 1),
        "gpus": [
            line.strip()
            for line in _output(
                "nvidia-smi", "--query-gpu=name,clocks.max.sm,driver_version", "--format=csv,noheader"
            )
        ],
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """The installed versions of what decides a measurement."""
    found = {}
    for package in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def commit(root: Path) -> str | None:
    """The project's Git commit, with `+changes` when files differ from it; None outside a repository."""
    head = _output("git", "-C", str(root), "rev-parse", "HEAD")
    if not head:
        return None
    changed = _output("git", "-C", str(root), "status", "--porcelain", "--untracked-files=no")
    return head[0] + ("+changes" if changed else "")


def processor() -> str:
    """The processor's name, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _output(*command: str) -> list[str]:
    """The lines that a program prints, none if it is not there or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return []
