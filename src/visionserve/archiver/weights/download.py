"""Downloads that are whole or not there: resumed where they broke off, verified, then renamed into place."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import requests
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from visionserve.archiver.weights import digests
from visionserve.runtime.errors import WeightsError

if TYPE_CHECKING:
    from pathlib import Path

_TIMEOUT = 30.0  # seconds without a byte
_CHUNK = 1 << 16  # bytes; when the connection breaks, at most one chunk has to be fetched again


class NotFetched(WeightsError):
    """A file did not arrive.

    Attributes:
        cause: Why, in a few words.
    """

    def __init__(self, cause: str, message: str) -> None:
        super().__init__(message)
        self.cause = cause


def download(url: str, destination: Path, *, patience: float = _TIMEOUT, limit: float = math.inf) -> str:
    """Fetch `url` to `destination`, whose name may end in digits of its SHA-256, and return the digest.

    What arrived before a broken connection stays beside it as `.part` and is continued by the next call.

    Args:
        url: What to fetch.
        destination: Where it is to be.
        patience: Seconds without a byte after which the connection counts as broken.
        limit: Seconds after which what has not arrived is left to the next call.

    Raises:
        NotFetched: The server cannot be reached, or the file did not arrive whole.
        WeightsError: Its digest is wrong, or it cannot be written. In any case `destination` does not exist.
    """
    try:
        return _download(url, destination, patience, limit)
    except (requests.RequestException, ConnectionError, TimeoutError) as error:
        cause = _cause(error)
        raise NotFetched(
            cause,
            f"{destination.name} could not be downloaded ({cause}); on a machine without network, get"
            f" {url} elsewhere and put it at {destination}{_digest_note(destination)}",
        ) from error
    except OSError as error:
        raise WeightsError(f"{destination}: cannot be written: {error.strerror or error}") from error


def _download(url: str, destination: Path, patience: float, limit: float) -> str:
    part = destination.with_name(destination.name + ".part")
    destination.parent.mkdir(parents=True, exist_ok=True)
    _fetch(url, part, patience, limit)
    sha256 = digests.sha256_of(part)
    wanted = digests.in_name(destination) or ""
    if not sha256.startswith(wanted):
        part.unlink()
        raise WeightsError(f"{url} arrived with SHA-256 {sha256}, expected {wanted}...; nothing was kept")
    part.replace(destination)
    return sha256


def _fetch(url: str, part: Path, patience: float, limit: float) -> None:
    end = time.monotonic() + limit
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    with requests.get(url, headers=headers, stream=True, timeout=patience) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            return  # all of it is here already; the digest decides
        response.raise_for_status()
        resumed = response.status_code == requests.codes.partial_content
        length = response.headers.get("Content-Length")
        start = have if resumed else 0
        total = start + int(length) if length else None
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
        )
        with (
            Progress(*columns, console=Console(stderr=True)) as progress,
            part.open("ab" if resumed else "wb") as file,
        ):
            task = progress.add_task(part.stem, total=total, completed=start)
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                progress.advance(task, len(chunk))
                if time.monotonic() > end:
                    raise requests.RequestException(
                        f"{file.tell()} bytes arrived in {limit:.0f} s; the next try goes on from there"
                    )
            size = file.tell()
    if total is not None and size != total:
        raise requests.RequestException(f"{size} of {total} bytes arrived; run the command again to continue")


def _cause(error: Exception) -> str:
    if isinstance(error, requests.ConnectionError):
        return "no connection, or it broke off"
    return " ".join(str(error).split())


def _digest_note(destination: Path) -> str:
    digest = digests.in_name(destination)
    return f" (SHA-256 {digest}...)" if digest else ""
