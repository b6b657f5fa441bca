"""What a weights file is, and what it would take to serve it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from visionserve.archiver.networks import architectures
from visionserve.archiver.weights import checkpoints, digests
from visionserve.runtime.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from visionserve.archiver.networks.architectures import Candidate
    from visionserve.archiver.weights.serialization import Format


@dataclass(frozen=True)
class Inspection:
    """The facts about a weights file.

    Attributes:
        path: The file.
        size: Its bytes.
        sha256: Its digest, in hexadecimal.
        format: How it was saved.
        unpickled: Whether it had to be unpickled, by the user's leave.
        key: Where in the file the tensors are; empty when they are all there is.
        prefix: What is removed from the front of every name.
        facts: The numbers and texts beside the weights, such as `epoch`.
        tensors: How many there are.
        dtypes: How many of each dtype.
        parameters: How many trained numbers they hold.
        architectures: The torchvision classifiers whose names and shapes these are, with their class counts.
    """

    path: Path
    size: int
    sha256: str
    format: Format
    unpickled: bool
    key: str
    prefix: str
    facts: Mapping[str, int | float | str]
    tensors: int
    dtypes: Mapping[str, int]
    parameters: int
    architectures: tuple[Candidate, ...]


def inspect(path: Path, key: str | None = None, *, trust_pickle: bool = False) -> Inspection:
    """Read a weights file and say what it is.

    Args:
        path: The file.
        key: Where in it the state dict is; found by itself if None.
        trust_pickle: Unpickle a file that holds more than tensors.

    Raises:
        WeightsError: It cannot be read, is damaged or untrusted, or its digest is not the one in its name.
    """
    sha256 = digests.verify(path)
    try:
        size = path.stat().st_size
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from error
    checkpoint = checkpoints.read(path, key, trust_pickle=trust_pickle)
    return Inspection(
        path=path,
        size=size,
        sha256=sha256,
        format=checkpoint.format,
        unpickled=checkpoint.trusted,
        key=checkpoint.key,
        prefix=checkpoint.prefix,
        facts=checkpoint.facts,
        tensors=len(checkpoint.state_dict),
        dtypes=checkpoint.dtypes,
        parameters=checkpoint.parameters,
        architectures=tuple(architectures.candidates(checkpoint.state_dict)),
    )
