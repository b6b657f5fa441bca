"""How far the logits of each class are from the right ones, over all pictures: one wrong class among a thousand.

The error of a picture's logits hides it. Two of a thousand classes exchanged move two logits of each picture: on
EfficientNet-Lite0, which was trained on ImageNet, a typical pair moves them by 11 % of their length, and bf16
moves those of some right networks by more. Of those two classes' own logits it is all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from visionserve.runtime.errors import GoldenError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from visionserve.runtime.proof.bounds import Bounds

# How many times as far as the class in the middle a class may stray, for rounding touches all of them alike. Of
# right engines in bf16 the furthest strayed 6.8 times as far, EfficientNet-B5's with random weights; of
# EfficientNet-Lite0 3.4. SqueezeNet's, whose logits are mostly 0, strayed 10 times as far, and within
# `Bounds.lone_class`.
LONE = 8.0


def of_classes(logits: npt.NDArray[np.float32], right: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """How far each class's logits are from the right ones, over the pictures: float64 `[classes]`.

    The root mean square of the differences over that of the right logits: the class's own, or that of all classes
    where it is the greater. Both sides' pictures are centred first, as in `golden.error`.

    Args:
        logits: float32 `[pictures, classes]`.
        right: The same.
    """
    wanted, got = _centred(right), _centred(logits)
    spread = np.maximum(_rms(wanted), np.sqrt(np.square(wanted).mean()))
    return np.asarray(_rms(got - wanted) / np.maximum(spread, np.finfo(np.float64).tiny))


def verify(
    logits: npt.NDArray[np.float32], right: npt.NDArray[np.float32], labels: Sequence[str], bounds: Bounds
) -> None:
    """Refuse logits of which a class strays further than is allowed, or far more than the others do.

    Args:
        logits: float32 `[pictures, classes]`, of the network under test.
        right: The same, as they were recorded.
        labels: One label per class, for the message.
        bounds: What is allowed.

    Raises:
        GoldenError: Names the class that strays most, and the one whose logits it has, if it is another's.
    """
    strays = of_classes(logits, right)
    worst = int(np.argmax(np.nan_to_num(strays, nan=np.inf)))
    allowed = min(bounds.of_class, max(bounds.lone_class, LONE * float(np.median(strays))))
    if not strays[worst] <= allowed:
        nearest = int(_rms(_centred(right) - _centred(logits)[:, worst, None]).argmin())
        another = f"; they are nearest to those of '{labels[nearest]}'" if nearest != worst else ""
        raise GoldenError(
            f"class '{labels[worst]}': its logits of all golden pictures are {strays[worst]:.2%} from those it was"
            f" built with, where {allowed:.2%} is allowed{another}"
        )


def _centred(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    exact = logits.astype(np.float64)
    return np.asarray(exact - exact.mean(axis=1, keepdims=True))


def _rms(over_pictures: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(np.sqrt(np.square(over_pictures).mean(axis=0)))
