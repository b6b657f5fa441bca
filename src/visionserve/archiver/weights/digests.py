"""The SHA-256 of files, and the digits of it that file names carry."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from visionserve.runtime.errors import WeightsError

if TYPE_CHECKING:
    from pathlib import Path

# torchvision's file names end in the first digits of the file's SHA-256: resnet50-11ad3fa6.pth
_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.[a-z.]+$")


def in_name(path: Path) -> str | None:
    """The digits of a SHA-256 that a file name such as `resnet50-11ad3fa6.pth` ends in."""
    match = _IN_NAME.search(path.name)
    return match.group(1) if match else None


def verify(path: Path, expected: str | None = None) -> str:
    """A file's SHA-256, after checking it against `expected` or the digits in the file's name.

    Raises:
        WeightsError: The file cannot be read, or the digest differs.
    """
    digits = in_name(path)
    sha256 = sha256_of(path)
    if expected is not None and sha256 != expected:
        raise WeightsError(
            f"{path}: SHA-256 is {sha256}, the model's YAML says {expected}; the file is damaged or another one"
        )
    if expected is None and digits is not None and not sha256.startswith(digits):
        raise WeightsError(
            f"{path}: SHA-256 is {sha256}, its name says {digits}...; it is damaged: delete it and get it again"
            " (if these digits are no digest, rename the file, or give 'sha256:' in the model's YAML)"
        )
    return sha256


def sha256_of(path: Path) -> str:
    """A file's SHA-256 in hexadecimal.

    Raises:
        WeightsError: The file cannot be read.
    """
    sha256 = hashlib.sha256()
    buffer = memoryview(bytearray(1 << 20))
    try:
        with path.open("rb") as file:
            while count := file.readinto(buffer):
                sha256.update(buffer[:count])
    except IsADirectoryError as error:
        raise WeightsError(f"{path}: is a directory; name the weights file inside it") from error
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error
    return sha256.hexdigest()
