"""The members of an archive, and how the small ones are read.

`root` is an unpacked archive's folder, or `zipfile.Path(mar)` for one still packed: both read the same.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol

import yaml

from visionserve.runtime.errors import SpecError
from visionserve.runtime.proof import golden
from visionserve.runtime.proof.integrity import UNREADABLE

MANIFEST_FILE = "MAR-INF/MANIFEST.json"
CONFIG_FILE = "model-config.yaml"
LABELS_FILE = "labels.json"
GOLDEN_FILE = "golden.json"
PROVENANCE_FILE = "provenance.json"


class Root(Protocol):
    """What `pathlib.Path` and `zipfile.Path` have in common."""

    def __truediv__(self, name: str, /) -> Root:
        """The member of that name."""
        ...

    def read_text(self, encoding: str = ...) -> str:
        """The text of this member."""
        ...


@dataclass(frozen=True)
class Identity:
    """What the archive itself calls its model."""

    name: str
    version: str


def read_identity(root: Root) -> Identity:
    """The model's name and version, as the manifest has them.

    Raises:
        SpecError: It is damaged.
    """
    try:
        model = _read(root, MANIFEST_FILE)["model"]
        return Identity(str(model["modelName"]), str(model["modelVersion"]))
    except (KeyError, TypeError) as error:
        raise _damaged(MANIFEST_FILE) from error


def read_digests(root: Root) -> dict[str, str]:
    """The SHA-256 of every other member, in hexadecimal, as the manifest has them; empty where it has none.

    Raises:
        SpecError: It is damaged.
    """
    manifest = _read(root, MANIFEST_FILE)
    digests = manifest.get("sha256", {}) if isinstance(manifest, dict) else None
    if not isinstance(digests, dict):
        raise _damaged(MANIFEST_FILE)
    return {str(member): str(digest) for member, digest in digests.items()}


def read_config(root: Root) -> dict[str, Any]:
    """The model's settings: TorchServe's own, and the section `handler`.

    Raises:
        SpecError: They are damaged.
    """
    try:
        config = yaml.safe_load((root / CONFIG_FILE).read_text(encoding="utf-8"))
    except (*UNREADABLE, yaml.YAMLError) as error:
        raise _damaged(CONFIG_FILE) from error
    if not isinstance(config, dict):
        raise _damaged(CONFIG_FILE)
    return config


def read_labels(root: Root) -> list[str]:
    """One distinct label per class, in class order.

    Raises:
        SpecError: They are damaged.
    """
    labels = _read(root, LABELS_FILE)
    if not isinstance(labels, list) or len(set(map(str, labels))) < max(len(labels), 1):
        raise _damaged(LABELS_FILE)
    return [str(label) for label in labels]


def read_golden(root: Root) -> list[golden.GoldenAnswer]:
    """The recorded golden answers, in the order of `golden.pictures()`.

    Raises:
        GoldenError: The member is not a list of recorded answers.
    """
    return golden.from_json(_read(root, GOLDEN_FILE))


def known_answers(root: Root) -> list[tuple[golden.Picture, frozenset[str]]]:
    """The golden pictures, each with the labels a right answer may begin with.

    That is one label, and those recorded so close to it that another processor may put them first.

    Raises:
        SpecError: The labels are damaged.
        GoldenError: The recorded answers are damaged, or are of other pictures or classes.
    """
    labels = read_labels(root)
    pictures, answers = golden.pictures(), read_golden(root)
    golden.require_fit(answers, len(pictures), len(labels))
    return [
        (picture, frozenset(labels[index] for index in answer.best()))
        for picture, answer in zip(pictures, answers, strict=True)
    ]


def _read(root: Root, member: str) -> Any:
    try:
        return json.loads((root / member).read_text(encoding="utf-8"))
    except UNREADABLE as error:
        raise _damaged(member) from error


def _damaged(member: str) -> SpecError:
    return SpecError(f"the archive's {member} is missing or damaged; build the archive again")
