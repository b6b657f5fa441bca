"""An archive in a model store, damaged and put right again."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

WEIGHTS = "quick.pth"


def unpacked(run: Path) -> Path:
    """The weights that the only instance below a run folder has unpacked for its workers."""
    (found,) = run.glob(f"?/models/*/{WEIGHTS}")
    return found


class ArchiveFile:
    """A .mar file as it is now, which is right.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._good = path.read_bytes()

    def replace(self, *, good: bool) -> None:
        """Put another file in its place, as a build does: a right one, or one with a bit of its weights turned."""
        beside = self._path.with_name("new")
        beside.write_bytes(self._good)
        if not good:
            turn_a_bit(beside, self._middle())
        beside.replace(self._path)

    def damage(self) -> None:
        """Turn a bit of the weights in the file itself, whoever else has it under another name."""
        turn_a_bit(self._path, self._middle())

    def _middle(self) -> int:
        with zipfile.ZipFile(self._path) as archive:
            member = archive.getinfo(WEIGHTS)
        return member.header_offset + member.compress_size // 2


def turn_a_bit(path: Path, place: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 1]))
