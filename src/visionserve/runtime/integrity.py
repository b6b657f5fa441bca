"""Whether an archive is what was built: each member's digest, and one of the whole file.

The manifest holds the SHA-256 of every other member. The zip file's comment, its last 64 bytes, is the SHA-256 of
all that comes before it, so that a changed bit anywhere is seen in one pass over the file.
"""

from __future__ import annotations

import hashlib
import logging
import lzma
import os
import re
import struct
import zipfile
import zlib
from typing import IO, TYPE_CHECKING

from visionserve.runtime.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# What zipfile raises, beside its own error, for what a damaged file says of itself: compressed, encrypted, split.
UNREADABLE = (
    zipfile.BadZipFile,
    OSError,
    EOFError,
    KeyError,
    ValueError,
    RuntimeError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
)

logger = logging.getLogger(__name__)

_DIGITS = 64
_DIGEST = re.compile(rb"[0-9a-f]{64}")
_BLOCK = 1 << 20
# The last two bytes of a zip file without a comment are the comment's length (APPNOTE.TXT 4.3.16).
_LENGTH = struct.Struct("<H")
_AGAIN = "copy the archive again, or build it again with 'visionserve archive'"


def require_members(folder: Path, digests: Mapping[str, str]) -> None:
    """Check the members of an unpacked archive.

    Args:
        folder: Where it was unpacked.
        digests: The SHA-256 of each member, in hexadecimal, as the manifest has it; without any there is nothing
            to check, which is logged: torch-model-archiver writes none.

    Raises:
        IntegrityError: A member is missing, cannot be read, or is another one.
    """
    if not digests:
        logger.warning("the manifest holds no digests, so the archive's members cannot be checked")
    for member, expected in digests.items():
        try:
            with (folder / member).open("rb") as file:
                found = _sha256(file)
        except OSError as error:
            raise IntegrityError(f"the archive's {member} cannot be read: {error.strerror}; {_AGAIN}") from error
        if found != expected:
            raise IntegrityError(f"the archive's {member} is not what was built; {_AGAIN}")


def seal(path: Path) -> None:
    """Write a zip file's own digest into its comment, which is still empty."""
    with path.open("r+b") as file:
        file.seek(-_LENGTH.size, os.SEEK_END)
        file.write(_LENGTH.pack(_DIGITS))
        file.seek(0)
        digest = _sha256(file)
        file.write(digest.encode())


def require_whole(path: Path, digests: Mapping[str, str]) -> None:
    """Check a packed archive, every bit of it.

    Args:
        path: The .mar.
        digests: As the manifest has them, to tell which member is to blame.

    Raises:
        IntegrityError: Something in it is not what was built, or it has no digest of itself.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _DIGITS))
        recorded = file.read()
        file.seek(0)
        if _sha256(file, size - _DIGITS).encode() == recorded:
            return
    blamed = _blamed(path, digests)
    if blamed is None and _DIGEST.fullmatch(recorded) is None:
        raise IntegrityError(
            f"{path} holds no digest of itself: an older visionserve or another program packed it"
            "; build it again with 'visionserve archive'"
        )
    raise IntegrityError(f"{path}: {blamed or 'its list of members'} is not what was built; {_AGAIN}")


def _blamed(path: Path, digests: Mapping[str, str]) -> str | None:
    """The first member that differs from its digest or, where it has none, from its checksum in the zip file."""
    with zipfile.ZipFile(path) as mar:
        for member in sorted({*mar.namelist(), *digests}):
            try:
                with mar.open(member) as file:
                    found = _sha256(file)
            except UNREADABLE:
                return member  # missing, or so damaged that it cannot be read
            if digests.get(member, found) != found:
                return member
    return None


def _sha256(file: IO[bytes], size: int | None = None) -> str:
    """The digest of a file from where it stands, or of its next `size` bytes."""
    digest = hashlib.sha256()
    left = size
    while block := file.read(_BLOCK if left is None else min(_BLOCK, left)):
        digest.update(block)
        left = None if left is None else left - len(block)
    return digest.hexdigest()
