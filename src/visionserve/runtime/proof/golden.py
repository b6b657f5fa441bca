"""What the network said of known pictures when it was built: a worker says the same before it takes traffic.

An archive carries the encoded pictures, the pixels that its transform makes of them and the logits that fp32 made
of those (int8's own where that is its precision), so that decoding and computing are proven each by itself: no
engine's rounding hides a wrong transform.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from visionserve.runtime.errors import GoldenError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    import numpy.typing as npt
    import torch

    from visionserve.runtime.proof.drawing import Picture

# Classes whose probability is this close to the best one's are right answers too, to a client that does not know
# the precision: of 260 photographs that EfficientNet-Lite0 was asked about, bf16 named another class than fp32
# for 12, by 0.064 at most (`make precision`).
CLOSE = 0.1

# Of a picture: a file's name, no path.
_NAME = re.compile(r"[\w.-]+")


@dataclass(frozen=True, eq=False)
class Answer:
    """What the network said of one picture.

    Attributes:
        picture: The picture's name.
        logits: float32 `[classes]`.
        fast: The classes that are best behind fast decoding; see `pictures.jpeg`.
    """

    picture: str
    logits: npt.NDArray[np.float32]
    fast: tuple[int, ...] = ()

    @property
    def probabilities(self) -> npt.NDArray[np.float64]:
        """float64 `[classes]`."""
        powers = np.exp(self.logits.astype(np.float64) - self.logits.max())
        return np.asarray(powers / powers.sum())

    @property
    def margin(self) -> float:
        """How much more probable the best class is than the next; 1 where there is no other."""
        highest = np.sort(np.append(self.probabilities, 0.0))[::-1]
        return float(highest[0] - highest[1])

    def best(self, within: float = CLOSE) -> list[int]:
        """The most probable class, those whose probability is `within` of it, and those of fast decoding."""
        probabilities = self.probabilities
        order = np.argsort(-probabilities, kind="stable")
        close = [int(index) for index in order if probabilities[order[0]] - probabilities[index] <= within]
        return list(dict.fromkeys([*close, *self.fast]))


@dataclass(frozen=True, eq=False)
class Golden:
    """All that an archive is proven on.

    Attributes:
        pictures: Encoded.
        answers: One per picture.
        pixels: What the transform makes of each: uint8 `[crop, crop, 3]`.
    """

    pictures: Sequence[Picture]
    answers: Sequence[Answer]
    pixels: Sequence[npt.NDArray[np.uint8]]


def digest(labels: Sequence[str]) -> str:
    """What tells labels, and their order, from others: the SHA-256 of them, a line each."""
    return hashlib.sha256("".join(f"{label}\n" for label in labels).encode("utf-8", "surrogatepass")).hexdigest()


def error(logits: npt.NDArray[np.float32], right: npt.NDArray[np.float32]) -> float:
    """How far logits are from the right ones: the length of the difference over that of the right, both centred.

    What is added to all logits of a picture changes no probability, so it does not count; what scales them all, a
    temperature, changes neither side's share. Logits without relation to the right ones are 1.4 from them.

    Args:
        logits: float32 `[classes]`.
        right: The same.
    """
    wanted = right.astype(np.float64) - right.mean(dtype=np.float64)
    got = logits.astype(np.float64) - logits.mean(dtype=np.float64)
    return float(np.linalg.norm(got - wanted) / max(np.linalg.norm(wanted), np.finfo(np.float64).tiny))


def verify(expected: Sequence[Answer], logits: torch.Tensor, labels: Sequence[str], tolerance: float) -> None:
    """Refuse a network that answers differently.

    Args:
        expected: The recorded answers.
        logits: float32 `[len(expected), classes]`, of the network under test.
        labels: One label per class, for the message.
        tolerance: The largest allowed error of a picture's logits.

    Raises:
        GoldenError: Names the first picture that differs, what was recorded and what came.
    """
    require_fit(expected, logits.shape[1])
    for answer, row in zip(expected, logits.numpy(), strict=True):
        found = Answer(answer.picture, row)
        strays = error(row, answer.logits)
        if not strays <= tolerance:
            raise GoldenError(
                f"golden picture {answer.picture}: its logits are {strays:.2%} from those it was built with, where"
                f" {tolerance:.0%} is allowed: {_told(answer, labels)} was right, {_told(found, labels)} is given"
            )


def _told(answer: Answer, labels: Sequence[str]) -> str:
    best = int(answer.logits.argmax())
    return f"'{labels[best]}' with {answer.probabilities[best]:.4f}"


def require_fit(answers: Sequence[Answer], classes: int) -> None:
    """Refuse recorded answers that are none, or of other classes.

    Raises:
        GoldenError: They are.
    """
    if not answers or any(answer.logits.shape != (classes,) for answer in answers):
        raise GoldenError("the archive's golden.json does not fit its classes; build the archive again")


def require_labels(recorded: str, labels: Sequence[str]) -> None:
    """Refuse labels that are not those of the golden answers, or not in their order.

    Raises:
        GoldenError: They are not.
    """
    if recorded != digest(labels):
        raise GoldenError("the labels are not those that the golden answers are of; build the archive again")


def to_json(labels: Sequence[str], answers: Sequence[Answer]) -> dict[str, object]:
    """The answers as a JSON document; logits are float32 in little-endian order, in base64."""
    return {
        "labels": digest(labels),
        "answers": [
            {
                "picture": answer.picture,
                "top": labels[answer.best()[0]],
                "fast": list(answer.fast),
                "logits": base64.b64encode(answer.logits.astype("<f4").tobytes()).decode(),
            }
            for answer in answers
        ],
    }


def _logits(text: str) -> npt.NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(text, validate=True), "<f4").astype(np.float32)


def _answer(entry: Mapping[str, Any]) -> Answer:
    logits = _logits(entry["logits"])
    fast = tuple(int(index) for index in entry.get("fast", ()))
    if not all(0 <= index < len(logits) for index in fast):
        raise ValueError(fast)
    return Answer(str(entry["picture"]), logits, fast)


def from_json(document: object) -> tuple[str, list[Answer]]:
    """The labels' digest and the answers from the JSON document that `to_json` made.

    Raises:
        GoldenError: The document is not one, or logits are not finite.
    """
    try:
        if not isinstance(document, dict):
            raise TypeError(type(document))
        answers = [_answer(entry) for entry in document["answers"]]
        labels = str(document["labels"])
    except (KeyError, TypeError, ValueError) as cause:
        raise GoldenError("the archive's golden.json holds no answers; build the archive again") from cause
    if not all(np.isfinite(answer.logits).all() and _NAME.fullmatch(answer.picture) for answer in answers):
        raise GoldenError("the archive's golden.json holds logits that are no numbers; build the archive again")
    return labels, answers
