"""Files that only their owner may read, written whole or not at all, and put back."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def write(path: Path, content: bytes) -> None:
    """Put a new file in the place of the one that is there; who reads meanwhile finds either of them.

    Raises:
        OSError: It cannot be written; the one of before is still there, and nothing beside it.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def contents(folder: Path, names: Iterable[str]) -> dict[Path, bytes]:
    """What is in those files of a folder that are there."""
    return {path: path.read_bytes() for name in names if (path := folder / name).exists()}


def restore(saved: Mapping[Path, bytes]) -> None:
    """Put back what was in files and is not any more; on a full disk those that differ and have room."""
    for path, content in saved.items():
        with suppress(OSError):
            if not path.exists() or path.read_bytes() != content:
                write(path, content)
