"""Who may ask: names and the digests of keys; the keys themselves are nowhere but with their owners."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from visionserve.server import private_file
from visionserve.server.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_HEAD = "# Written by 'visionserve key': a name and the SHA-256 of its key on each line.\n"


@dataclass(frozen=True)
class Key:
    """One who may ask.

    Attributes:
        name: How logs call it, and whose share of requests is counted.
        digest: The SHA-256 of the key, in lower-case hexadecimal digits.
    """

    name: str
    digest: str


def read(path: Path) -> list[Key]:
    """The keys of a file, in its order.

    Raises:
        ServerError: It cannot be read, or a line of it is no key; the line is named.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else error
        raise ServerError(f"{path}: cannot be read: {cause}; 'visionserve key add NAME' makes one") from error
    keys: list[Key] = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            keys.append(_key(words, keys))
        except ValueError as error:
            raise ServerError(f"{path}:{number}: {error}") from error
    return keys


def new(path: Path, name: str) -> str:
    """Add a random key to a file, which is made if it is not there, and return the key: it is not kept.

    Raises:
        ServerError: The name is taken or none, or the file cannot be read.
    """
    if not _NAME.fullmatch(name):
        raise ServerError(f"{name!r} is no name for a key: use up to 64 letters, digits, '_', '.' and '-'")
    keys = read(path) if path.exists() else []
    if any(key.name == name for key in keys):
        raise ServerError(f"{path} has a key {name!r} already; 'visionserve key remove {name}' revokes it")
    key = secrets.token_urlsafe(32)
    _write(path, [*keys, Key(name, digest(key))])
    return key


def remove(path: Path, name: str) -> None:
    """Take a key out of a file.

    Raises:
        ServerError: It is not in there, or the file cannot be read.
    """
    keys = read(path)
    left = [key for key in keys if key.name != name]
    if len(left) == len(keys):
        names = ", ".join(key.name for key in keys) or "none"
        raise ServerError(f"{path} has no key {name!r}; it has {names}")
    _write(path, left)


def digest(key: str) -> str:
    """What a file says of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def _key(words: Sequence[str], before: Sequence[Key]) -> Key:
    if len(words) != 2:
        raise ValueError("it must be a name and a digest")
    name, hexadecimal = words
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name: use up to 64 letters, digits, '_', '.' and '-'")
    if not _DIGEST.fullmatch(hexadecimal):
        # Not shown: it may be a key that someone wrote there.
        raise ValueError(f"the digest of {name!r} must be 64 hexadecimal digits in lower case")
    if any(key.name == name for key in before):
        raise ValueError(f"{name!r} is there twice")
    if any(key.digest == hexadecimal for key in before):
        raise ValueError(f"{name!r} has the digest of another name")
    return Key(name, hexadecimal)


def _write(path: Path, keys: Sequence[Key]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    private_file.write(path, (_HEAD + "".join(f"{key.name} {key.digest}\n" for key in keys)).encode())
