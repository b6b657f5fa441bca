"""Keys and signatures are small files: what is larger, or no file, is neither."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from visionserve.signatures.errors import SignatureError

if TYPE_CHECKING:
    from pathlib import Path

# A signature of one file has 1.5 KB, a key less.
_LARGEST = 1 << 16


def read(path: Path, what: str) -> bytes:
    """All of a small file.

    Args:
        path: The file.
        what: What it should be, for the message.

    Raises:
        FileNotFoundError: There is none.
        SignatureError: It cannot be read, is no file, is empty, or is larger than any of its kind.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:  # Path.open takes no opener
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise SignatureError(f"{path} is no file, so no {what}")
            data = file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SignatureError(f"{path}: the {what} cannot be read: {error.strerror or error}") from error
    if not data:
        raise SignatureError(f"{path} is empty, so no {what}")
    if len(data) > _LARGEST:
        raise SignatureError(f"{path} is larger than {_LARGEST // 1024} KiB, so no {what}")
    return data


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe of that name would else be waited for."""
    return os.open(path, flags | os.O_NONBLOCK)
