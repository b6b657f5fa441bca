"""The archives that are there to be served."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from visionserve.project import SUFFIX
from visionserve.runtime import archive, integrity
from visionserve.runtime.archive import CONFIG_FILE, GOLDEN_FILE, LABELS_FILE, MANIFEST_FILE
from visionserve.runtime.errors import SpecError
from visionserve.server.errors import ServerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from visionserve.project import Project

_NEEDED = frozenset({MANIFEST_FILE, CONFIG_FILE, LABELS_FILE, GOLDEN_FILE})


def deployed(project: Project) -> list[str]:
    """The models that are served when none is named: those of `models/*.yaml` whose archives are built.

    Where no YAML's archive is there, as on a machine that only serves, every archive of the model store counts.

    Raises:
        ServerError: There is no archive at all.
    """
    built = sorted(path.stem for path in project.store.glob("[!.]*.mar"))
    described = [name for name in built if project.model(name).is_file()]
    if not built:
        raise ServerError(
            f"no archives in {project.store}; name a weights file or a torchvision model"
            " ('visionserve serve flowers.pth'), or build those of models/*.yaml with 'visionserve archive'"
        )
    return described or built


def archives(project: Project, names: Sequence[str]) -> dict[str, Path]:
    """The .mar file of each model in the project's model store.

    Args:
        project: The project.
        names: The models; without any, those that are deployed.

    Raises:
        ServerError: A named archive does not exist or is damaged, or there is none at all.
    """
    found = {name: project.archive(name) for name in names or deployed(project)}
    for name, path in found.items():
        if not path.is_file():
            raise ServerError(f"{path} does not exist; build it with 'visionserve archive {name}'")
        require_undamaged(path)
    return found


def find(project: Project, target: str) -> Path:
    """The archive that a user names: a .mar file, or a model of the project.

    Raises:
        ServerError: There is none.
    """
    path = Path(target) if target.endswith(SUFFIX) else project.archive(target)
    if not path.is_file():
        raise ServerError(f"there is no archive {path}; 'visionserve archive' builds those of models/*.yaml")
    return path


def require_undamaged(path: Path) -> None:
    """Check that a file is one of our archives and just what was built, every bit of it.

    TorchServe takes anything, and its workers then die in circles.

    Raises:
        ServerError: It is none, or lacks a part.
        IntegrityError: Something in it is not what was built.
    """
    try:
        with zipfile.ZipFile(path) as mar:
            missing = _NEEDED - set(mar.namelist())
    except integrity.UNREADABLE as error:
        cause = error.strerror if isinstance(error, OSError) else error
        raise ServerError(f"{path} is no archive ({cause}); build it again with 'visionserve archive'") from error
    if missing:
        raise ServerError(
            f"{path} lacks {', '.join(sorted(missing))}, so it is none of visionserve's archives"
            "; build it with 'visionserve archive'"
        )
    try:
        digests = archive.read_digests(zipfile.Path(path))
    except SpecError:
        digests = {}  # the manifest itself is damaged, which is found next
    integrity.require_whole(path, digests)
