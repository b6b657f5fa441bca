"""The archives that are there to be served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from visionserve.server.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FOLDER = "model_store"


def archives(root: Path, names: Sequence[str] | None) -> dict[str, Path]:
    """The .mar file of each model.

    Args:
        root: The project's folder.
        names: The models; without them, every one of models/*.yaml whose archive is built.

    Raises:
        ServerError: A named archive does not exist, or there is none at all.
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
    return found
