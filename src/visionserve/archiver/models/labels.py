"""One distinct label per class."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING, Any

from visionserve.archiver.errors import LabelsError
from visionserve.project import Project

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from visionserve.archiver.models.spec import HandlerSpec
    from visionserve.archiver.weights.lookup import Found

# Of a class index, more than any network has.
_DIGITS = 9
_FORMS = 'one label a line, {"0": "cat"}, {"0": ["n02123045", "cat"]} or ["cat"]'


def read(path: Path) -> list[str]:
    """The labels of a file, in class order.

    A `.json` file is TorchServe's `index_to_name.json` in either of its forms, class index to name or to WordNet
    id and name, or a list; any other has one label a line.

    Raises:
        LabelsError: The file cannot be read, is none of these, or leaves a class without a label.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        where = f"{error.reason} at byte {error.start}"
        raise LabelsError(f"{path}: is no text in UTF-8 ({where}); save it as UTF-8") from error
    except OSError as error:
        raise LabelsError(f"{path}: cannot be read as labels: {error.strerror or error}") from error
    if path.suffix.lower() == ".json":
        labels = _from_json(path, text)
    else:
        labels = [line.strip() for line in text.split("\n") if line.strip()]  # read_text takes CR and CRLF too
    if not labels:
        raise LabelsError(f"{path}: holds no labels; write {_FORMS}")
    odd = next((label for label in labels if any(map(_breaks_lines, label))), None)
    if odd is not None:
        raise LabelsError(f"{path}: label {odd!r} holds control characters; remove them")
    return labels


def _breaks_lines(character: str) -> bool:
    """Whether a terminal or a log would act on it rather than show it."""
    return unicodedata.category(character) in ("Cc", "Zl", "Zp")


def of_classes(root: Path, spec: HandlerSpec, found: Found, classes: int) -> list[str]:
    """One distinct label per class: the spec's file, or the categories that torchvision's entry brings.

    Args:
        root: The project's folder.
        spec: What the user wrote of the model.
        found: Its weights.
        classes: The class count of their head.

    Raises:
        LabelsError: The labels are not as many as the classes, or the spec names none for weights of one's own.
    """
    if spec.labels is not None:
        path = Project(root).find(spec.labels)
        names, source = read(path), str(path)
    elif found.entry is not None:
        names, source = list(found.entry.meta["categories"]), str(found.entry)
    else:
        raise LabelsError(
            f"{found.path.name} is no torchvision entry, so its {classes} classes have no names"
            ": add 'labels: FILE' to handler"
        )
    require_count(names, classes, source)
    return distinct(names)


def require_count(labels: Sequence[str], classes: int, source: str) -> None:
    """Refuse labels that are not as many as the head's classes.

    Args:
        labels: The labels.
        classes: The head's class count.
        source: Where the labels are from, for the message.

    Raises:
        LabelsError: Names both counts.
    """
    if len(labels) != classes:
        raise LabelsError(f"{source}: {len(labels)} labels, but the weights' head has {classes} classes")


def distinct(labels: Sequence[str]) -> list[str]:
    """The labels with those that occur twice told apart by their class index.

    ImageNet has two classes "crane" and two "maillot"; an answer is a mapping of label to probability, so one
    of each would be lost.
    """
    told_apart = list(labels)
    while len(set(told_apart)) < len(told_apart):
        counts = Counter(told_apart)
        told_apart = [f"{label} ({i})" if counts[label] > 1 else label for i, label in enumerate(told_apart)]
    return told_apart


def _from_json(path: Path, text: str) -> list[str]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LabelsError(f"{path}: is not JSON: {error}") from error
    if isinstance(document, list):
        return [_name(path, index, value) for index, value in enumerate(document)]
    if not isinstance(document, dict):
        raise LabelsError(f"{path}: holds a {type(document).__name__}; write {_FORMS}")
    names = {key: value for key, value in document.items() if key.isdecimal() and len(key) <= _DIGITS}
    if len(names) < len(document):
        other = next(key for key in document if key not in names)
        raise LabelsError(f"{path}: key '{other[:40]}' is no class index; write {_FORMS}")
    by_index = {int(key): value for key, value in names.items()}
    missing = next((index for index in range(len(document)) if index not in by_index), None)
    if missing is not None:
        raise LabelsError(f"{path}: class {missing} has no label, though there are {len(document)} entries")
    return [_name(path, index, by_index[index]) for index in range(len(by_index))]


def _name(path: Path, index: int, value: Any) -> str:
    name = value[-1] if isinstance(value, list) and len(value) == 2 else value
    if not isinstance(name, str) or not name.strip():
        raise LabelsError(f"{path}: class {index} is {value!r}; write {_FORMS}")
    return name.strip()
