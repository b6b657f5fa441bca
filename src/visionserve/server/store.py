"""The archives that are there to be served."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

from visionserve.runtime.archive import CONFIG_FILE, GOLDEN_FILE, LABELS_FILE, MANIFEST_FILE
from visionserve.server.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FOLDER = "model_store"

_NEEDED = frozenset({MANIFEST_FILE, CONFIG_FILE, LABELS_FILE, GOLDEN_FILE})


def archives(root: Path, names: Sequence[str] | None) -> dict[str, Path]:
    """The .mar file of each model.

    Args:
        root: The project's folder.
        names: The models; without them, every one of models/*.yaml whose archive is built.

    Raises:
        ServerError: A named archive does not exist or is damaged, or there is none at all.
    """
    wanted = names or [
        path.stem
        for path in sorted((root / "models").glob("*.yaml"))
        if (root / FOLDER / f"{path.stem}.mar").is_file()
    ]
    if not wanted:
        raise ServerError(f"no archives in {root / FOLDER}; build them with 'make archive', or try 'make demo'")
    found = {name: root / FOLDER / f"{name}.mar" for name in wanted}
    for name, path in found.items():
        if not path.is_file():
            raise ServerError(f"{path} does not exist; build it with 'make archive MODEL={name}'")
        _require_complete(path, name)
    return found


def _require_complete(path: Path, name: str) -> None:
    """Check that a file is one of our archives: TorchServe takes anything, and its workers then die in circles."""
    try:
        with zipfile.ZipFile(path) as mar:
            missing = _NEEDED - set(mar.namelist())
    except (OSError, zipfile.BadZipFile) as error:
        raise ServerError(
            f"{path} is no archive ({error}); build it again: 'make archive MODEL={name}'"
        ) from error
    if missing:
        raise ServerError(
            f"{path} lacks {', '.join(sorted(missing))}; build it again: 'make archive MODEL={name}'"
        )
