"""A running server's model tried on labelled pictures, and what came of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from visionserve.evaluation import labelled
from visionserve.evaluation.judging import comparison, findings
from visionserve.evaluation.running import asking

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from visionserve.evaluation.answers import Refusal
    from visionserve.evaluation.judging.findings import Findings
    from visionserve.evaluation.running.asking import Given
    from visionserve.evaluation.running.served import Served

_SLOWEST = 10  # pictures that are asked again


@dataclass(frozen=True)
class Trial:
    """What was tried, how, and what was found.

    Attributes:
        findings: What was found.
        served: The model.
        source: Where the pictures are from.
        started: When.
        clients: How many requests there were at once.
        notes: What its reader should know of the pictures.
        server: What the model says of itself.
        other: What the other model says of itself, if there is one.
        alone: The slowest pictures, asked once more by themselves, the slowest first.
    """

    findings: Findings
    served: Served
    source: Path
    started: datetime
    clients: int
    notes: Sequence[str]
    server: Mapping[str, Any]
    other: Mapping[str, Any]
    alone: Sequence[Given | Refusal]

    def name(self, path: Path) -> str:
        """A picture's file as seen from the folder of the pictures."""
        return os.path.relpath(path, self.source if self.source.is_dir() else self.source.parent)


def run(served: Served, source: Path, clients: int, limit: int | None = None, against: str | None = None) -> Trial:
    """Ask for labelled pictures and judge the answers.

    Args:
        served: The model.
        source: A folder of pictures with one subfolder per class, or with a CSV of names and classes; or that CSV.
        clients: How many requests there are at once.
        limit: The most pictures to ask, evenly of each class.
        against: Another model of the same server, or one's URL, to be asked for the same pictures.

    Raises:
        LabelledPicturesError: There are no pictures, or their classes are not the model's.
        EvaluationError: There is no such model, the two cannot be compared, no picture was answered, or the server
            went away.
        Unreachable: Nothing answers.
        Refused: The server answers nothing but errors.
    """
    started = datetime.now()
    labels = served.labels()
    other = served.another(against) if against else None
    # Of models that cannot be compared neither is asked for thousands of pictures.
    others = comparison.places(other.model, other.labels(), served.model, labels) if other else {}
    found = labelled.read(source, labels)
    pictures = found.pictures if limit is None else labelled.evenly(found.pictures, limit)
    own = {label: index for index, label in enumerate(labels)}
    answers = asking.ask(served, labels, own, pictures, clients)
    judged = findings.judge(answers, asking.ask(other, labels, others, pictures, clients) if other else None)
    alone = asking.ask_alone(served, own, answers.slowest(_SLOWEST))
    asked, there = len(pictures), len(found.pictures)
    thinned = f"{asked} of {there} pictures were asked, evenly of each class" if asked < there else ""
    return Trial(
        findings=judged,
        served=served,
        source=source,
        started=started,
        clients=clients,
        notes=[note for note in (found.note, thinned) if note],
        server=served.description(),
        other=other.description() if other else {},
        alone=sorted(alone, key=lambda one: -one.milliseconds),
    )
