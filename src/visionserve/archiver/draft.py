"""A first `models/NAME.yaml` for a weights file: what was told from it, written down for a person to change."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import yaml

from visionserve.archiver.weights.serialization import printable
from visionserve.runtime.errors import SpecError

if TYPE_CHECKING:
    from pathlib import Path

    from visionserve.archiver.assumptions import Assumed
    from visionserve.project import Project

# A fact is one comment, whatever the names of files and keys in it.
_COMMENT = 1_000

_YAML = """\
# {name}: written by 'visionserve init'. Keys outside `handler` are TorchServe's own.
minWorkers: {spec.min_workers}          # processes; one uses every core
maxWorkers: {spec.max_workers}
batchSize: {spec.batch_size}           # most requests in one batch
maxBatchDelay: {spec.max_batch_delay}       # ms that a request waits for company; TorchServe takes 0 to mean 100
responseTimeout: {spec.response_timeout}   # s until a worker that does not answer is ended
startupTimeout: {spec.startup_timeout}    # s that loading may take

handler:
  # {facts[architecture]}
  architecture: {architecture}
  # {facts[weights]}
  weights: {weights}
{key}  sha256: {sha256}  # the build refuses a file with another digest
  # {facts[labels]}
  labels: {labels}
  input:  # {transform_from}
    resize: {t.resize}
    crop: {t.crop}
    interpolation: {t.interpolation}
    mean: {mean}
    std: {std}
  topK: {spec.handler.top_k}              # classes in an answer
"""


def write(project: Project, assumed: Assumed, label_file: Path | None, *, force: bool = False) -> list[Path]:
    """Write the YAML, and beside it a label file if there is none yet.

    Args:
        project: The project.
        assumed: The model.
        label_file: Its labels' file; without it `models/NAME.txt` is written.
        force: Replace a YAML that is there; a label file is never replaced.

    Returns:
        The files written.

    Raises:
        SpecError: There is a YAML already; nothing is written.
    """
    spec = assumed.spec
    target = project.model(spec.name)
    if not force:
        require_new(project, spec.name)
    written = {target: ""}
    facts = dict(assumed.facts)
    if label_file is None:
        facts["labels"] = "One label per line, in class order; edit that file."
        label_file = target.with_suffix(".txt")
        if not label_file.exists():
            written[label_file] = "".join(f"{label}\n" for label in assumed.labels)
    written[target] = _YAML.format(
        name=spec.name,
        spec=spec,
        architecture=_scalar(spec.handler.architecture),
        facts={topic: printable(fact, _COMMENT) for topic, fact in facts.items()},
        weights=_scalar(_seen_from(project, assumed.weights)),
        key=f"  weightsKey: {_scalar(spec.handler.weights_key)}\n" if spec.handler.weights_key else "",
        sha256=_scalar(assumed.sha256),
        labels=_scalar(_seen_from(project, label_file)),
        transform_from=printable(assumed.facts["transform"].partition(": ")[2], _COMMENT),
        t=assumed.transform,
        mean=list(assumed.transform.mean),
        std=list(assumed.transform.std),
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    for path, text in written.items():
        path.write_text(text, encoding="utf-8")
    return list(written)


def require_new(project: Project, name: str) -> None:
    """Refuse to describe a model that is described already.

    Raises:
        SpecError: There is a YAML already.
    """
    if project.model(name).exists():
        raise SpecError(f"{project.model(name)} is there already; --force replaces it, --name NAME writes another")


def _seen_from(project: Project, path: Path) -> str:
    """A path as the YAML has it: relative to the project's folder if it lies in it."""
    root = os.path.abspath(project.root)  # noqa: PTH100  # resolve() would follow a link out of the folder
    whole = os.path.abspath(path)  # noqa: PTH100
    return os.path.relpath(whole, root) if os.path.commonpath([whole, root]) == root else whole


def _scalar(value: str) -> str:
    """A text as YAML writes it on one line, quoted where it must be."""
    return str(yaml.safe_dump(value, width=float("inf"))).removesuffix("\n").removesuffix("\n...")
