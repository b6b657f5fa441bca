"""A model's weights, got if they are not here: torchvision's are downloaded, a demo model's are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from visionserve.archiver.demo import colours
from visionserve.archiver.models import catalog
from visionserve.archiver.models.spec import HandlerSpec
from visionserve.archiver.weights import digests, download, entries, lookup
from visionserve.runtime import network
from visionserve.runtime.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from visionserve.project import Project


@dataclass(frozen=True)
class Wanted:
    """A model whose weights are wanted.

    Attributes:
        name: Its name.
        spec: The model.
        is_demo: Whether its weights are made here rather than found.
    """

    name: str
    spec: HandlerSpec
    is_demo: bool = False

    @classmethod
    def named(cls, root: Path, name: str) -> Wanted:
        """A model of the project at `root`, else a torchvision classifier.

        Raises:
            SpecError: There is neither.
        """
        if name in network.names() and not catalog.exists(root, name):
            return cls(name, HandlerSpec(architecture=name))
        source = catalog.find(root, name)
        return cls(name, catalog.read(source).handler, catalog.is_demo(root, source))

    def download_size(self, root: Path) -> float:
        """The MB that getting them would download, as torchvision states it; 0 if nothing."""
        if self.is_demo or lookup.are_here(root, self.name, self.spec) or not entries.names_one(self.spec):
            return 0.0
        return _size(entries.of(self.spec))


def acquire(
    project: Project, wanted: Wanted, *, offline: bool = False, anew: bool = False, tell: Callable[[str], None]
) -> Path:
    """Find a model's weights, and get them where that is possible.

    Args:
        project: The project, into whose `weights/` they are put.
        wanted: The model.
        offline: Download nothing.
        anew: Make a demo model's weights even if they are here, for what makes them may have changed.
        tell: Called with a sentence before anything long.

    Raises:
        WeightsError: They are not here, and cannot or may not be got.
    """
    name, spec = wanted.name, wanted.spec
    if lookup.are_here(project.root, name, spec) and not (anew and wanted.is_demo):
        return lookup.find(project.root, name, spec).path
    if wanted.is_demo:
        target = project.root / lookup.file_name(spec)
        tell(f"making the weights of {name}: {target}")
        accuracy = colours.make(spec, target)
        tell(f"{target}: {accuracy:.1%} of {colours.HELD_OUT} held-out pictures right")
        return target
    if not entries.names_one(spec):
        return lookup.find(project.root, name, spec).path
    entry = entries.of(spec)
    target = project.weights / lookup.file_name(spec)
    if offline:
        raise WeightsError(
            f"no weights for {name} here, and --offline forbids fetching them: put {target.name} into"
            f" {project.weights} (it is at {entry.url})"
        )
    tell(f"fetching {entry}, {_size(entry):.0f} MB, from {entry.url}")
    download.download(entry.url, target)
    digests.verify(target, spec.sha256)
    return target


def _size(entry: Any) -> float:
    return float(entry.meta["_file_size"])
