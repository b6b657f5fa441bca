"""The archives that instances are started from, as they were when they were admitted."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from visionserve.project import SUFFIX
from visionserve.server.errors import writing

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from visionserve.server.instance.admission import Admission


class Generations:
    """Archives in a folder of the server's own, one generation beside the other while both are needed.

    Args:
        folder: The run folder.
        admit: What puts an archive into it, or refuses it.
    """

    def __init__(self, folder: Path, admit: Admission) -> None:
        self._folder, self._admit, self._number = folder, admit, 0

    def keep(self, archives: Mapping[str, Path]) -> dict[str, Path]:
        """Keep archives as they are now; where one is refused, none of them is kept.

        Args:
            archives: The .mar file of each model.

        Raises:
            VisionserveError: One is not admitted.
        """
        self._number += 1
        folder = self._folder / f"archives-{self._number}"
        try:
            with writing(folder):
                folder.mkdir()
                return {name: self._admit(path, folder / f"{name}{SUFFIX}") for name, path in archives.items()}
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def forget_all_but(self, used: Collection[Path]) -> None:
        """Remove the archives that no instance is started from any more."""
        for folder in self._folder.glob("archives-*"):
            for archive in folder.iterdir():
                if archive not in used:
                    archive.unlink()
            if not any(folder.iterdir()):
                folder.rmdir()
