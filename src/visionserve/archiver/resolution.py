"""What a user names to an archive, which is built if need be.

A weights file, a model's or an architecture's name, or an archive.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from visionserve.archiver import acquisition, assumptions, builder, fingerprint
from visionserve.archiver.acquisition import Wanted
from visionserve.archiver.assumptions import Stated
from visionserve.archiver.models import catalog
from visionserve.archiver.models.spec import require_name
from visionserve.archiver.weights import entries, lookup
from visionserve.project import SUFFIX
from visionserve.runtime import network
from visionserve.runtime.errors import SpecError, WeightsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from visionserve.archiver.assumptions import Assumed
    from visionserve.archiver.builder import Built
    from visionserve.project import Project


@dataclass(frozen=True)
class Target:
    """A model that is ready to be served.

    Attributes:
        name: The name it is served by.
        archive: Its file.
    """

    name: str
    archive: Path


@dataclass(frozen=True)
class Progress:
    """Where the steps are told as they happen.

    Attributes:
        step: Called with a sentence that stays: what is done next, or need not be.
        working: Called with a sentence for a context, the time that something takes.
        assumed: Called with what was taken for granted of a weights file.
        built: Called with what was built.
    """

    step: Callable[[str], None]
    working: Callable[[str], AbstractContextManager[object]]
    assumed: Callable[[Assumed], None]
    built: Callable[[Built], None]


def prepare(
    project: Project, targets: Sequence[str], stated: Stated, progress: Progress, *, offline: bool = False
) -> list[Target]:
    """Make sure that there is an archive for each target.

    Args:
        project: In whose model store archives are built.
        targets: Files, as seen from where the user stands, and names.
        stated: What the user says of the one weights file or architecture among them.
        progress: Where the steps are told.
        offline: Download nothing.

    Raises:
        VisionserveError: A target is nothing of the kind, cannot be built, or two have the same name.
    """
    if len(targets) > 1 and stated != Stated(trust_pickle=stated.trust_pickle):
        raise SpecError(
            f"--labels, --resize and the like are for one target, and {len(targets)} are given: run"
            " 'visionserve init FILE' with them for each, then serve the models by name"
        )
    called: dict[str, str] = {}
    for target in targets:
        other = called.setdefault(_name(target, stated), target)
        if os.path.realpath(other) != os.path.realpath(target):  # unlike Path.resolve, it takes links in a circle
            raise SpecError(
                f"two of the targets are called {_name(target, stated)}: {other} and {target}"
                "; rename one of the files"
            )
    # What each is comes first: nothing is built beside a name that is none.
    ways = [_way(project, target, stated, progress, offline=offline) for target in called.values()]
    return [way() for way in ways]


def _name(target: str, stated: Stated) -> str:
    """The name that a target is served by.

    Raises:
        SpecError: TorchServe does not take it.
    """
    path = Path(target)
    if path.suffix == SUFFIX:
        name = stated.name or path.stem
    else:
        name = stated.name or (assumptions.model_name(path) if _is_weights(path) else target)
    require_name(name)
    return name


def _is_weights(path: Path) -> bool:
    return path.is_file() or path.name.endswith(lookup.SUFFIXES) or len(path.parts) > 1


def _way(
    project: Project, target: str, stated: Stated, progress: Progress, *, offline: bool
) -> Callable[[], Target]:
    """How a target is prepared, by what it is.

    Raises:
        VisionserveError: It is nothing, or something of which nothing more may be said.
    """
    path = Path(target)
    if path.suffix == SUFFIX:
        if not path.is_file():
            raise WeightsError(f"{path}: no such archive")
        _require_unchecked(stated, path)
        _require_unsaid(dataclasses.replace(stated, name=None), path)
        return partial(Target, _name(target, stated), path)
    if _is_weights(path):
        if not path.exists():
            what = "a link in a circle or to nothing" if path.is_symlink() else "no such file"
            raise WeightsError(f"{path}: {what}")
        return partial(_of_weights, project, path, stated, progress)
    if catalog.exists(project.root, target):
        _require_unsaid(dataclasses.replace(stated, check=None, min_accuracy=None), project.model(target))
        return partial(_of_yaml, project, target, stated, progress, offline=offline)
    archive = project.archive(target)
    if archive.is_file() and (target not in network.names() or fingerprint.recorded(archive) is None):
        _require_unchecked(stated, archive)
        _require_unsaid(stated, archive)
        return partial(Target, target, archive)
    if target in network.names():
        return partial(_of_architecture, project, target, stated, progress, offline=offline)
    close = difflib.get_close_matches(target, [*catalog.names(project.root), *network.names()], n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise SpecError(
        f"'{target}' is no file, no model of {project.models}/ or {project.store}/, and no torchvision"
        f" classifier{hint}"
    )


def _require_unsaid(stated: Stated, source: Path) -> None:
    if stated != Stated(trust_pickle=stated.trust_pickle):
        raise SpecError(
            f"{source} says itself how it is served; labels, transform and the rest cannot be changed here"
        )


def _require_unchecked(stated: Stated, archive: Path) -> None:
    if stated.checking():
        raise SpecError(
            f"{archive} is built already, and a model is checked when it is built: name its weights, or serve it"
            f" without --check; 'visionserve evaluate {stated.name or archive.stem} {stated.check or 'FOLDER'}'"
            " then measures it as it runs"
        )


def _of_yaml(project: Project, name: str, stated: Stated, progress: Progress, *, offline: bool) -> Target:
    """The archive of a model that is described; it is built again when what it was built from has changed."""
    archive = project.archive(name)
    source = catalog.find(project.root, name)
    spec = stated.checked(catalog.read(source))
    if not archive.is_file():
        acquisition.acquire(project, Wanted.named(project.root, name), offline=offline, tell=progress.step)
    elif fingerprint.recorded(archive) is None or not lookup.are_here(project.root, name, spec.handler):
        progress.step(f"{archive}: reused as it is; what it was built from is not known or not here")
        return Target(name, archive)
    with progress.working(f"reading what {source} names"):
        built_from = fingerprint.of_described(project, spec)
    if _is_current(archive, built_from, progress):
        return Target(name, archive)
    with progress.working(f"building {archive} as {source} says"):
        built = builder.build(project.root, spec, source, trust_pickle=stated.trust_pickle, built_from=built_from)
    progress.built(built)
    return Target(name, archive)


def _of_architecture(project: Project, name: str, stated: Stated, progress: Progress, *, offline: bool) -> Target:
    own = project.archive(stated.name or name)
    if own.is_file() and fingerprint.origin(own) not in map(str, entries.classifying(name)):
        progress.step(f"{own}: reused; it holds {fingerprint.origin(own)}, not torchvision's weights")
        return Target(stated.name or name, own)
    wanted = Wanted.named(project.root, name)
    weights = acquisition.acquire(project, wanted, offline=offline, tell=progress.step)
    said = dataclasses.replace(stated, name=stated.name or name, architecture=name)
    return _of_weights(project, weights, said, progress)


def _of_weights(project: Project, path: Path, stated: Stated, progress: Progress) -> Target:
    """The archive of a weights file: the one that is there if it is what would be built, else built."""
    with progress.working(f"reading {path}"):
        assumed = assumptions.assume(project, path, stated)
    progress.assumed(assumed)
    name = assumed.spec.name
    archive = project.archive(name)
    built_from = fingerprint.of_assumed(project, assumed)
    if project.model(name).is_file():
        raise SpecError(
            f"{project.model(name)} describes {name}: 'visionserve serve {name}' serves it; to serve {path}"
            " without it, add --name"
        )
    if archive.is_file() and fingerprint.recorded(archive) is None:
        raise SpecError(
            f"{archive} is another model's, which 'visionserve serve {name}' serves; serve {path} by another"
            " name with --name"
        )
    if _is_current(archive, built_from, progress):
        return Target(name, archive)
    with (
        progress.working(f"building {archive}"),
        tempfile.TemporaryDirectory(prefix="visionserve-") as scratch,
    ):
        names = Path(scratch) / "labels.json"
        names.write_text(json.dumps(list(assumed.labels)), encoding="utf-8")
        handler = dataclasses.replace(assumed.spec.handler, labels=str(names))
        spec = dataclasses.replace(assumed.spec, handler=handler)
        built = builder.build(
            project.root, spec, path, path, trust_pickle=stated.trust_pickle, built_from=built_from
        )
    progress.built(built)
    return Target(name, archive)


def _is_current(archive: Path, built_from: Mapping[str, str], progress: Progress) -> bool:
    """Whether the archive that is there, if there is one, was built from just this; tells what changed."""
    before = fingerprint.recorded(archive)
    if before is None:
        return False
    changes = fingerprint.changed(before, built_from)
    if changes:
        progress.step(f"{archive} is built again: changed since: {', '.join(changes)}")
    else:
        progress.step(f"{archive}: reused, for nothing that it was built from has changed")
    return not changes
