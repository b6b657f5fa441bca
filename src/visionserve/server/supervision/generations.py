"""The archives that instances are started from, as they were when they were admitted."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from visionserve.project import SUFFIX
from visionserve.server.errors import ServerError, writing

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from visionserve.server.instance.admission import Admission


class Generations:
    """Archives in a folder of the server's own, one generation beside the other while both are needed.

    Args:
        sources: The .mar file of each model that is served, where builds put it.
        folder: The run folder.
        admit: What puts an archive into it, or refuses it.
    """

    def __init__(self, sources: Mapping[str, Path], folder: Path, admit: Admission) -> None:
        self._sources, self._folder, self._admit, self._number = sources, folder, admit, 0

    def keep(self, models: Sequence[str] = ()) -> dict[str, Path]:
        """Keep archives as they are now; where one is refused, none of them is kept.

        Args:
            models: Whose; without any, those of all models.

        Raises:
            ServerError: A model is not served, or its archive is not there.
            VisionserveError: One is not admitted.
        """
        if strange := [name for name in models if name not in self._sources]:
            raise ServerError(
                f"{strange[0]} is not served; served are {', '.join(sorted(self._sources))}. Another model is"
                " served from the next start on"
            )
        archives = {name: self._sources[name] for name in models or self._sources}
        if gone := [path for path in archives.values() if not path.is_file()]:
            raise ServerError(f"{gone[0]} is not there any more")
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
