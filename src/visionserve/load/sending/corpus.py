"""The pictures that are sent, and what a right answer to each is.

`golden` pictures are the archive's own, with the answers its builder recorded: they catch a server that is wrong
from the start. `formats` and `large` pictures are drawn here, and pictures of one's own may be added; their
answers are those the idle server gives before the run, so they catch answers that change under load. Bad
pictures are right when refused with a 4xx.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from visionserve.load.errors import LoadError
from visionserve.runtime import archive
from visionserve.runtime.proof import drawing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

KINDS = ("golden", "formats", "large", "own")
DEFAULT_MIX: Mapping[str, float] = {"golden": 90, "formats": 5, "large": 5}

_INDEX = "corpus.json"
_LARGE = (2000, 1500)  # a photograph of three megapixels, about 1.1 MB of JPEG


@dataclass(frozen=True)
class Picture:
    """A picture to send.

    Attributes:
        name: Its file name, unique in the corpus.
        kind: One of `KINDS`, or `bad`.
        weight: How often it is sent, relative to the others.
        answers: For each model the labels of which a right answer begins with one; empty for a bad picture.
        data: The encoded bytes.
    """

    name: str
    kind: str
    weight: float
    answers: Mapping[str, frozenset[str]]
    data: bytes

    @property
    def is_bad(self) -> bool:
        """Whether only a refusal is right."""
        return self.kind == "bad"


@dataclass(frozen=True)
class Corpus:
    """What is sent: pictures and models, each with its weight."""

    pictures: tuple[Picture, ...]
    models: Mapping[str, float]

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything that makes two corpora send the same."""
        return hashlib.sha256(json.dumps(self._index(), sort_keys=True).encode()).hexdigest()

    def _index(self) -> dict[str, Any]:
        return {
            "models": dict(self.models),
            "pictures": [
                {
                    "name": picture.name,
                    "kind": picture.kind,
                    "weight": picture.weight,
                    "answers": {model: sorted(labels) for model, labels in picture.answers.items()},
                    "sha256": hashlib.sha256(picture.data).hexdigest(),
                }
                for picture in self.pictures
            ],
        }

    def write(self, folder: Path) -> None:
        """Write the pictures and their index as files."""
        folder.mkdir(parents=True, exist_ok=True)
        for picture in self.pictures:
            (folder / picture.name).write_bytes(picture.data)
        (folder / _INDEX).write_text(json.dumps(self._index(), indent=1), encoding="utf-8")


def read(folder: Path) -> Corpus:
    """The corpus that `write` left in a folder.

    Raises:
        LoadError: There is none, or a file of it is missing or was changed.
    """
    try:
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        pictures = tuple(
            Picture(
                name=entry["name"],
                kind=entry["kind"],
                weight=entry["weight"],
                answers={model: frozenset(labels) for model, labels in entry["answers"].items()},
                data=_verified(folder / entry["name"], entry["sha256"]),
            )
            for entry in index["pictures"]
        )
        return Corpus(pictures, index["models"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise LoadError(f"{folder / _INDEX} is no corpus: {' '.join(str(error).split())}") from error


def build(
    archives: Mapping[str, Path],
    models: Mapping[str, float],
    ask: Callable[[str, bytes], str],
    mix: Mapping[str, float] = DEFAULT_MIX,
    bad_share: float = 0.0,
    own: Path | None = None,
) -> Corpus:
    """Put a corpus together.

    Args:
        archives: Each model's .mar, whose golden pictures are sent and whose recorded answers are right.
        models: How often each model is asked, relative to the others.
        ask: The best label that the idle server gives a picture, by model and bytes.
        mix: The weight of each kind of picture, shared equally by the pictures of that kind.
        bad_share: The share of all requests that send a bad picture, below 1.
        own: A folder of pictures to send too; kind `own`.

    Raises:
        LoadError: A kind of the mix does not exist or there are no pictures of it.
    """
    weights = {kind: weight for kind, weight in mix.items() if weight > 0}
    if unknown := sorted(set(weights) - set(KINDS)):
        raise LoadError(f"no pictures of kind '{unknown[0]}'; the kinds are {', '.join(KINDS)}")
    if own is not None:
        weights.setdefault("own", max(weights.values(), default=1.0))
    if not weights:
        raise LoadError(f"the mix is empty: give at least one of {', '.join(KINDS)} a weight above 0")
    answered = {model: archive.known_answers(zipfile.Path(archives[model])) for model in models}
    recorded = {
        model: {picture.name: labels for picture, labels in answers} for model, answers in answered.items()
    }
    known = [(picture.name, picture.data) for picture, _ in next(iter(answered.values()), [])]

    def answers(kind: str, name: str, data: bytes) -> dict[str, frozenset[str]]:
        if kind == "golden":
            return {model: recorded[model][name] for model in models}
        return {model: frozenset({ask(model, data)}) for model in models}

    pictures: list[Picture] = []
    total = sum(weights.values())
    for kind, weight in weights.items():
        files = known if kind == "golden" else _pictures_of(kind, own)
        share = (1 - bad_share) * weight / total / len(files)
        pictures += [Picture(name, kind, share, answers(kind, name, data), data) for name, data in files]
    if bad_share:
        bad = _bad_pictures()
        pictures += [Picture(name, "bad", bad_share / len(bad), {}, data) for name, data in bad]
    return Corpus(tuple(pictures), dict(models))


def _pictures_of(kind: str, own: Path | None) -> Sequence[tuple[str, bytes]]:
    if kind == "large":
        return [("large-2000x1500.jpeg", drawing.encode(drawing.photograph(100, *_LARGE), "JPEG"))]
    if kind == "formats":
        return _formats()
    if own is None or not own.is_dir():
        raise LoadError(f"pictures of kind 'own' need a folder of them; {own or 'none'} is not one")
    files = sorted(path for path in own.iterdir() if path.is_file())
    if not files:
        raise LoadError(f"no files in {own}")
    return [(f"own-{path.name}", path.read_bytes()) for path in files]


def _formats() -> list[tuple[str, bytes]]:
    """One photograph in the encodings that clients send beside plain colour JPEG and PNG."""
    photograph = drawing.photograph(200, 500, 375)

    def encoded(mode: str, image_format: str, **options: Any) -> bytes:
        buffer = io.BytesIO()
        photograph.convert(mode).save(buffer, image_format, **options)
        return buffer.getvalue()

    return [
        ("format-progressive.jpeg", encoded("RGB", "JPEG", quality=90, progressive=True)),
        ("format-grey.jpeg", encoded("L", "JPEG", quality=90)),
        ("format-cmyk.jpeg", encoded("CMYK", "JPEG", quality=90)),
        ("format-alpha.png", encoded("RGBA", "PNG")),
        ("format-palette.png", encoded("P", "PNG")),
        ("format-webp.webp", encoded("RGB", "WEBP", quality=90)),
    ]


def _bad_pictures() -> list[tuple[str, bytes]]:
    whole = drawing.encode(drawing.photograph(300, 500, 375), "JPEG")
    return [
        ("bad-text.jpeg", b"this is no picture\n" * 40),
        ("bad-truncated.jpeg", whole[: len(whole) // 3]),
        ("bad-header-only.png", b"\x89PNG\r\n\x1a\n" + bytes(64)),
    ]


def _verified(path: Path, sha256: str) -> bytes:
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError(f"{path.name} is not the file that the index names")
    return data
