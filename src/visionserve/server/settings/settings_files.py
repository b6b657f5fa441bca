"""The files that a server's settings were read from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class SettingsFiles:
    """Remembers what was in them, for what is changed later counts at the next start only.

    Args:
        paths: The files; one that is not there is one that is empty.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._read = {path: _content(path) for path in paths}

    def changed(self) -> list[str]:
        """The names of those that hold something else now."""
        return [path.name for path, before in self._read.items() if _content(path) != before]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
