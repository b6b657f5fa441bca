"""The names that pictures' classes go by, as indices of a model's labels."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from visionserve.evaluation.errors import LabelledPicturesError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# Of names that are no labels, as many as a message lists.
_LISTED = 5


def match(names: Sequence[str], labels: Sequence[str], source: Path) -> tuple[Mapping[str, int], str]:
    """Say which class each name means: a label, a class index, or its place among the sorted names.

    Args:
        names: The classes' names, each as often as it occurs.
        labels: The model's labels, in class order.
        source: Where the names are from, for messages.

    Returns:
        The class of each name, and a sentence on how names were taken if not as labels.

    Raises:
        LabelledPicturesError: Some of them are none of the model's; the message lists them.
    """
    distinct = sorted(set(names))
    known = by_label(distinct, labels)
    if len(known) == len(distinct):
        return known, ""
    if all(name.isdecimal() and name.isascii() and int(name) < len(labels) for name in distinct):
        return {name: int(name) for name in distinct}, "the classes of the pictures are taken for class indices"
    if list(labels) == [str(index) for index in range(len(labels))] and len(distinct) == len(labels):
        # torchvision's ImageFolder, by which most people train, numbers classes so.
        order = f"'{distinct[0]}' for class 0 to '{distinct[-1]}' for class {len(labels) - 1}"
        return (
            {name: index for index, name in enumerate(distinct)},
            f"the model has no names for its classes, so those of the pictures are taken in sorted order: {order}",
        )
    raise LabelledPicturesError(_no_labels(distinct, known, labels, source))


def by_label(names: Sequence[str], labels: Sequence[str]) -> dict[str, int]:
    """The names that are labels, be it with other capitals or other separators."""
    exact = {label: index for index, label in enumerate(labels)}
    folded: dict[str, list[int]] = {}
    for index, label in enumerate(labels):
        folded.setdefault(_folded(label), []).append(index)
    found = {}
    for name in names:
        alike = folded.get(_folded(name), [])
        if name in exact:
            found[name] = exact[name]
        elif len(alike) == 1:
            found[name] = alike[0]
    return found


def _folded(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


def _no_labels(names: Sequence[str], known: Mapping[str, int], labels: Sequence[str], source: Path) -> str:
    """Which names are no labels, and what may be wrong."""
    unknown = [name for name in names if name not in known]
    listed = ", ".join(f"'{name}'{_near(name, labels)}" for name in unknown[:_LISTED])
    more = f" and {len(unknown) - _LISTED} more" if len(unknown) > _LISTED else ""
    if known:
        return (
            f"{source}: {len(unknown)} of its {len(names)} classes are no labels of the model: {listed}{more};"
            " rename them as the labels are, or give the right labels"
        )
    return (
        f"{source}: none of its {len(names)} classes ({listed}{more}) is one of the model's {len(labels)} labels"
        f" ('{labels[0]}' to '{labels[-1]}'): these are not the weights, not the labels or not the pictures that"
        " belong together"
    )


def _near(name: str, labels: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, labels, n=1)
    return f" (near '{close[0]}')" if close else ""
