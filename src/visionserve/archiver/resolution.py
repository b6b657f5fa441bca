"""What a user asks to serve, to an archive: a weights file, a model's or an architecture's name, or an archive."""

from __future__ import annotations

import dataclasses
import difflib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from visionserve.archiver import assumptions, builder, catalog, fingerprint
from visionserve.archiver.assumptions import Stated
from visionserve.archiver.weights import acquisition, lookup
from visionserve.archiver.weights.acquisition import Wanted
from visionserve.runtime import network
from visionserve.runtime.errors import SpecError, WeightsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from visionserve.archiver.assumptions import Assumed
    from visionserve.archiver.builder import Built
    from visionserve.project import Project

ARCHIVE = ".mar"


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
            f"{len(targets)} targets, and options that say something of one: 'visionserve init WEIGHTS' with these"
            " options writes it down, then name the models"
        )
    found: dict[str, Target] = {}
    for target in targets:
        ready = _prepare(project, target, stated, progress, offline=offline)
        if ready.name in found and found[ready.name].archive.resolve() != ready.archive.resolve():
            raise SpecError(
                f"two of the targets are called {ready.name}: {found[ready.name].archive} and {ready.archive}"
                "; rename one of the files"
            )
        found[ready.name] = ready
    return list(found.values())


def _prepare(project: Project, target: str, stated: Stated, progress: Progress, *, offline: bool) -> Target:
    path = Path(target)
    if path.suffix == ARCHIVE:
        if not path.is_file():
            raise WeightsError(f"{path}: no such archive")
        _require_unsaid(dataclasses.replace(stated, name=None), path)
        return Target(stated.name or path.stem, path)
    if path.is_file() or path.name.endswith(lookup.SUFFIXES) or len(path.parts) > 1:
        if not path.exists():
            raise WeightsError(f"{path}: no such file")
        return _of_weights(project, path, stated, progress)
    if catalog.exists(project.root, target):
        _require_unsaid(stated, project.model(target))
        return _of_yaml(project, target, progress, trust_pickle=stated.trust_pickle, offline=offline)
    archive = project.archive(target)
    if archive.is_file() and (target not in network.names() or fingerprint.recorded(archive) is None):
        _require_unsaid(stated, archive)
        return Target(target, archive)
    if target in network.names():
        return _of_architecture(project, target, stated, progress, offline=offline)
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


def _of_yaml(project: Project, name: str, progress: Progress, *, trust_pickle: bool, offline: bool) -> Target:
    """A model that is described; once it is built, building it anew is `visionserve archive`'s."""
    archive = project.archive(name)
    if not archive.is_file():
        source = catalog.find(project.root, name)
        spec = catalog.read(source)
        acquisition.acquire(project, Wanted.named(project.root, name), offline=offline, tell=progress.step)
        with progress.working(f"building {archive} as {source} says"):
            built = builder.build(project.root, spec, source, trust_pickle=trust_pickle)
        progress.built(built)
    return Target(name, archive)


def _of_architecture(project: Project, name: str, stated: Stated, progress: Progress, *, offline: bool) -> Target:
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
    built_from = fingerprint.of(project, assumed)
    if archive.is_file():
        before = fingerprint.recorded(archive)
        if before is None or project.model(name).is_file():
            raise SpecError(
                f"{archive} is another model's, which 'visionserve serve {name}' serves; serve {path} by another"
                " name with --name"
            )
        changes = fingerprint.changed(before, built_from)
        if not changes:
            progress.step(f"{archive}: reused, for nothing that it was built from has changed")
            return Target(name, archive)
        progress.step(f"{archive} is built again: changed since: {', '.join(changes)}")
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
