"""Pictures on disk with the class that each shows, as an index of a model's labels."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from visionserve.evaluation import classes, layouts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class LabelledPicture:
    """A picture and what it shows.

    Attributes:
        path: Its file.
        target: Its class, an index of the model's labels.
    """

    path: Path
    target: int


@dataclass(frozen=True)
class LabelledPictures:
    """Pictures with known classes.

    Attributes:
        pictures: In the order of their paths.
        note: How the names of their classes were taken, where that is not as the model's labels; else empty.
    """

    pictures: Sequence[LabelledPicture]
    note: str = ""


def read(source: Path, labels: Sequence[str]) -> LabelledPictures:
    """Find labelled pictures in one of the usual layouts.

    Args:
        source: A folder with one subfolder per class; a folder with a CSV of names and classes; or that CSV.
        labels: The model's labels, in class order.

    Raises:
        LabelledPicturesError: There are none, the layout is none of these, or a class is none of the model's.
    """
    named = layouts.read(source)
    targets, note = classes.match([name for _, name in named], labels, source)
    pictures = [LabelledPicture(path, targets[name]) for path, name in named]
    return LabelledPictures(sorted(pictures, key=lambda picture: picture.path), note)


def evenly(pictures: Sequence[LabelledPicture], most: int) -> Sequence[LabelledPicture]:
    """At most so many of the pictures, as many of each class as there can be, spread over each class's files."""
    if len(pictures) <= most:
        return pictures
    of_class: dict[int, list[LabelledPicture]] = defaultdict(list)
    for picture in pictures:
        of_class[picture.target].append(picture)
    # A class's k-th of n pictures is at (k + 1/2) / n of it; taking by rounds gives small classes their all.
    quota, left = {}, most
    for position, target in enumerate(sorted(of_class, key=lambda index: len(of_class[index]))):
        quota[target] = min(len(of_class[target]), left // (len(of_class) - position))
        left -= quota[target]
    chosen = [
        group[(2 * k + 1) * len(group) // (2 * quota[target])]
        for target, group in of_class.items()
        for k in range(quota[target])
    ]
    return sorted(chosen, key=lambda picture: picture.path)
