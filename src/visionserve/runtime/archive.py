"""The members of an archive, and how the small ones are read.

`root` is an unpacked archive's folder, or `zipfile.Path(mar)` for one still packed: both read the same.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import yaml
from PIL import Image

from visionserve.runtime.errors import SpecError
from visionserve.runtime.integrity import UNREADABLE
from visionserve.runtime.proof import golden
from visionserve.runtime.proof.drawing import Picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

MANIFEST_FILE = "MAR-INF/MANIFEST.json"
CONFIG_FILE = "model-config.yaml"
LABELS_FILE = "labels.json"
GOLDEN_FILE = "golden.json"
PROVENANCE_FILE = "provenance.json"

# More than any network's input has.
_LARGEST_PIXELS = 1 << 24


class Root(Protocol):
    """What `pathlib.Path` and `zipfile.Path` have in common."""

    def __truediv__(self, name: str, /) -> Root:
        """The member of that name."""
        ...

    def read_bytes(self) -> bytes:
        """The content of this member."""
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
    """The SHA-256 of every other member, in hexadecimal, as the manifest has them.

    Empty where the manifest does not speak of them, as torch-model-archiver's does not; ours always has some.

    Raises:
        SpecError: It is damaged.
    """
    manifest = _read(root, MANIFEST_FILE)
    if not isinstance(manifest, dict):
        raise _damaged(MANIFEST_FILE)
    if "sha256" not in manifest:
        return {}
    digests = manifest["sha256"]
    if not isinstance(digests, dict) or not digests:
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


def read_golden(root: Root, labels: Sequence[str]) -> golden.Golden:
    """What the archive is proven on.

    Args:
        root: The archive.
        labels: Its labels.

    Raises:
        SpecError: A picture, or its pixels, are missing or damaged.
        GoldenError: The recorded answers are damaged, or of other labels or classes.
    """
    answers = _answers(root, labels)
    pixels = [_pixels(root, pixels_file(answer.picture)) for answer in answers]
    return golden.Golden(_pictures(root, answers), answers, pixels)


def picture_file(name: str) -> str:
    """The member that holds a golden picture."""
    return f"golden/{name}"


def pixels_file(name: str) -> str:
    """The member that holds what the transform makes of a golden picture, as a PNG."""
    return f"golden/{name}.pixels.png"


def known_answers(root: Root) -> list[tuple[Picture, frozenset[str]]]:
    """The golden pictures, the surest first, each with the labels a right answer may begin with.

    That is one label, and those recorded so close to it that another processor may put them first. A lower
    precision may do so with others too; the surest picture's is the last that it changes.

    Raises:
        SpecError: The labels or a picture are missing or damaged.
        GoldenError: The recorded answers are damaged, or are of other labels or classes.
    """
    labels = read_labels(root)
    answers = sorted(_answers(root, labels), key=lambda answer: -answer.margin)
    return [
        (picture, frozenset(labels[index] for index in answer.best()))
        for picture, answer in zip(_pictures(root, answers), answers, strict=True)
    ]


def _answers(root: Root, labels: Sequence[str]) -> list[golden.Answer]:
    recorded, answers = golden.from_json(_read(root, GOLDEN_FILE))
    golden.require_labels(recorded, labels)
    golden.require_fit(answers, len(labels))
    return answers


def _pictures(root: Root, answers: Sequence[golden.Answer]) -> list[Picture]:
    return [Picture(answer.picture, _bytes(root, picture_file(answer.picture))) for answer in answers]


def _pixels(root: Root, member: str) -> npt.NDArray[np.uint8]:
    try:
        with Image.open(io.BytesIO(_bytes(root, member)), formats=["PNG"]) as image:
            if image.width * image.height > _LARGEST_PIXELS:
                raise _damaged(member)
            return np.array(image.convert("RGB"))
    except SpecError:
        raise
    except Exception as error:  # whatever Pillow raises of a damaged file
        raise _damaged(member) from error


def _bytes(root: Root, member: str) -> bytes:
    try:
        return (root / member).read_bytes()
    except UNREADABLE as error:
        raise _damaged(member) from error


def _read(root: Root, member: str) -> Any:
    try:
        return json.loads((root / member).read_text(encoding="utf-8"))
    except UNREADABLE as error:
        raise _damaged(member) from error


def _damaged(member: str) -> SpecError:
    return SpecError(f"the archive's {member} is missing or damaged; build the archive again")
