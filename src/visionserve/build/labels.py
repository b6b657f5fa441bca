"""One distinct label per class."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from visionserve.runtime.errors import LabelsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def read(path: Path) -> list[str]:
    """The labels of a file with one label a line.

    Raises:
        LabelsError: The file cannot be read or holds no label.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LabelsError(f"{path}: cannot be read as labels: {error}") from error
    labels = [line.strip() for line in lines if line.strip()]
    if not labels:
        raise LabelsError(f"{path}: holds no labels; write one a line")
    return labels


def distinct(labels: Sequence[str]) -> list[str]:
    """The labels with those that occur twice told apart by their class index.

    ImageNet has two classes "crane" and two "maillot"; an answer is a mapping of label to probability, so one
    of each would be lost.
    """
    counts = Counter(labels)
    return [f"{label} ({index})" if counts[label] > 1 else label for index, label in enumerate(labels)]
