"""What a model answered to labelled pictures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from visionserve.evaluation import accuracy

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from visionserve.evaluation.labelled import LabelledPicture


@dataclass(frozen=True)
class Refusal:
    """A picture without an answer.

    Attributes:
        picture: What was asked.
        status: The HTTP status; 0 where there is none.
        type: The error's machine-readable cause.
        message: What was said.
        milliseconds: From sending the picture until that.
    """

    picture: LabelledPicture
    status: int
    type: str
    message: str
    milliseconds: float


@dataclass(frozen=True)
class Answers:
    """All that a model said to the pictures.

    Attributes:
        model: Its name.
        labels: Its labels, in class order.
        pictures: Those that were answered; at least one.
        probabilities: What was answered to each, float32 `[N, classes]`.
        milliseconds: From sending each until its whole answer was there, float64 `[N]`.
        refused: The pictures without an answer.
    """

    model: str
    labels: tuple[str, ...]
    pictures: Sequence[LabelledPicture]
    probabilities: npt.NDArray[np.float32]
    milliseconds: npt.NDArray[np.float64]
    refused: Sequence[Refusal] = ()

    @cached_property
    def targets(self) -> npt.NDArray[np.intp]:
        """The class that each picture shows, `[N]`."""
        return np.array([picture.target for picture in self.pictures], np.intp)

    @cached_property
    def top(self) -> npt.NDArray[np.intp]:
        """The class that each was answered with, `[N]`."""
        return accuracy.answered(self.probabilities, self.targets)

    @cached_property
    def confidence(self) -> npt.NDArray[np.float64]:
        """The probability of that class, `[N]`."""
        return np.asarray(self.probabilities.max(axis=1), np.float64)

    @cached_property
    def right(self) -> npt.NDArray[np.bool_]:
        """Whether it is the right one, `[N]`."""
        return np.asarray(self.top == self.targets)

    def refusals(self) -> Counter[tuple[int, str]]:
        """How many pictures were refused with which status and type."""
        return Counter((one.status, one.type) for one in self.refused)

    def slowest(self, most: int) -> list[LabelledPicture]:
        """The pictures that took longest to be answered or refused."""
        timed = [
            *zip(self.milliseconds, self.pictures, strict=True),
            *((one.milliseconds, one.picture) for one in self.refused),
        ]
        return [picture for _, picture in sorted(timed, key=lambda pair: -pair[0])[:most]]
