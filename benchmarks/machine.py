"""What a result was measured on and with."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import cast

import psutil

from visionserve.runtime.machine import cores
from visionserve.server.instance import java

# Instruction sets that decide how fast a network runs on a CPU.
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_bf16", "amx_int8")
_PACKAGES = (
    "torch",
    "torchvision",
    "pillow",
    "numpy",
    "openvino",
    "nncf",
    "ncnn",
    "torchserve",
    "torch-model-archiver",
    "captum",
    "litserve",
    "fastapi",
    "uvicorn",
    "uvloop",
    "pyzmq",
)


def hardware() -> dict[str, object]:
    """The processor, the cores this process may use, memory, and how busy the machine is already."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"model name\s*: (.*)", text)
    flags = re.search(r"flags\s*: (.*)", text)
    found = set(flags.group(1).split()) if flags else set()
    return {
        "cpu": model.group(1).strip() if model else platform.processor() or platform.machine(),
        "cores": cores.available(),
        "instructions": [flag for flag in _FLAGS if flag in found],
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load_average_before": [round(value, 2) for value in os.getloadavg()],
    }


def versions() -> dict[str, str]:
    """Python's, Java's and every package's that has a part in the numbers; those not installed are left out."""
    found = {"python": platform.python_version()}
    version = java.major_version(java.find())
    if version is not None:
        found["java"] = str(version)
    for package in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def commit(root: Path) -> str:
    """The repository's commit, with `+changes` when files differ from it; `unknown` without git."""
    try:
        revision = _git(root, "rev-parse", "--short", "HEAD")
        return revision + ("+changes" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def slug(hardware: dict[str, object]) -> str:
    """The processor as a part of a file name, as in `amd-epyc-2-cores`."""
    words = re.sub(r"\(.*?\)|@.*|\bCPU\b|\bProcessor\b", " ", str(hardware["cpu"]))
    return "-".join([*re.findall(r"[a-z0-9]+", words.lower()), str(hardware["cores"]), "cores"])


def kind(hardware: dict[str, object]) -> str:
    """The kind of processor as a file name, with the newest of its instructions that matter here."""
    instructions = [str(name).replace("_", "-") for name in cast("list[str]", hardware["instructions"])]
    return "-".join([slug(hardware), *instructions[-1:]])


def _git(root: Path, *words: str) -> str:
    return subprocess.run(
        [shutil.which("git") or "git", *words],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
