"""How often a model is right about labelled pictures, by the engine that will serve it and by fp32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from visionserve import progress
from visionserve.archiver.checking import transforms
from visionserve.archiver.errors import CheckError
from visionserve.evaluation import accuracy, labelled, order
from visionserve.evaluation.accuracy import Share
from visionserve.runtime.pictures import decode, jpeg
from visionserve.runtime.pictures.fit import stack
from visionserve.runtime.wire.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from visionserve.evaluation.labelled import LabelledPicture
    from visionserve.runtime.engines import Engine
    from visionserve.runtime.model import Model, Transform

    Floats = npt.NDArray[np.float32]
    Indices = npt.NDArray[np.intp]

# An accuracy is known to 2 % then, and ResNet-50 in fp32 needs a minute and a half on two cores.
MOST = 2000
_BATCH = 8
# The probability with which a network that knows nothing of the pictures may be taken for one that does.
_CHANCE = 0.01


@dataclass(frozen=True)
class Checked:
    """How often a model is right.

    Attributes:
        source: The folder or CSV of the pictures.
        classes: How many classes they show.
        engine: What answered, as it will serve: `openvino in bf16`.
        top1: How often the right class was first.
        top5: How often it was among the first five; None for a model that has no more classes.
        fp32_top1: The same of eager PyTorch in fp32.
        fp32_top5: The same.
        agreement: How often the two put the same class first.
        notes: How the classes' names were taken, and which pictures were left out.
        mistakes: What is probably wrong, each with what to do.
    """

    source: str
    classes: int
    engine: str
    top1: Share
    top5: Share | None
    fp32_top1: Share
    fp32_top5: Share | None
    agreement: Share
    notes: tuple[str, ...]
    mistakes: tuple[str, ...]

    def __str__(self) -> str:
        top5 = f", top-5 {self.top5.value:.1%}" if self.top5 else ""
        fp32_top5 = f" and {self.fp32_top5.value:.1%}" if self.fp32_top5 else ""
        return (
            f"top-1 {self.top1}{top5}, of {self.top1.total} pictures of {self.classes} classes, by {self.engine};"
            f" fp32 {self.fp32_top1.value:.1%}{fp32_top5}"
        )

    def to_json(self) -> dict[str, object]:
        """What an archive's provenance keeps; shares as counts, with their 95 % intervals."""
        shares = {
            "top1": self.top1.to_json(),
            "top5": self.top5 and self.top5.to_json(),
            "fp32Top1": self.fp32_top1.to_json(),
            "fp32Top5": self.fp32_top5 and self.fp32_top5.to_json(),
            "agreement": self.agreement.to_json(),
        }
        return {"classes": self.classes, "engine": self.engine, **shares, "mistakes": list(self.mistakes)}


def judge(
    source: Path,
    model: Model,
    engine: Engine,
    fp32: Callable[[Transform], Engine],
    left_out: Collection[Path] = (),
) -> Checked:
    """Answer labelled pictures as the model will be served, and look for the usual mistakes.

    Args:
        source: A folder of pictures with one subfolder per class, or with a CSV of names and classes.
        model: The model.
        engine: What will serve it.
        fp32: Its network in fp32 by eager PyTorch, behind a transform.
        left_out: Pictures that must not judge, since they set int8's ranges.

    Raises:
        LabelledPicturesError: There are no pictures, or their classes are not the model's.
        CheckError: None of them can be decoded.
    """
    found = labelled.read(source, model.labels)
    there = [one for one in found.pictures if one.path not in left_out]
    if not there:
        raise CheckError(
            f"{source}: all of its {len(found.pictures)} pictures calibrate int8, so none is left to judge it;"
            " give others to 'calibration:' or to 'check:'"
        )
    chosen = labelled.evenly(there, MOST)
    plain = fp32(model.transform)
    answered, undecodable = _answers(chosen, model, engine, plain)
    if not answered:
        raise CheckError(f"{source}: none of its {len(chosen)} pictures can be decoded: {undecodable}")
    judged = [one for one, _, _ in answered]
    targets = np.array([one.target for one in judged], np.intp)
    served = np.stack([logits for _, logits, _ in answered])
    right = np.stack([logits for _, _, logits in answered])
    thinned = f"{len(chosen)} of {len(there)} pictures were taken, evenly of each class"
    return Checked(
        source=str(source),
        classes=len(np.unique(targets)),
        engine=f"{engine.name} in {engine.precision}",
        top1=accuracy.top(served, targets, 1),
        top5=accuracy.top5(served, targets),
        fp32_top1=accuracy.top(right, targets, 1),
        fp32_top5=accuracy.top5(right, targets),
        agreement=Share(int((served.argmax(axis=1) == right.argmax(axis=1)).sum()), len(targets)),
        notes=tuple(filter(None, (found.note, thinned if len(chosen) < len(there) else "", undecodable))),
        mistakes=_mistakes(model, judged, right, targets, fp32),
    )


def require(checked: Checked, min_accuracy: float | None) -> None:
    """Refuse a model that is right too seldom.

    Raises:
        CheckError: It is; the message tells what is probably wrong.
    """
    if min_accuracy is not None and checked.top1.value < min_accuracy:
        because = f": {'; '.join(checked.mistakes)}" if checked.mistakes else ""
        raise CheckError(
            f"{checked.source}: {checked}; handler.minAccuracy is {min_accuracy:.1%}, so nothing is written"
            f"{because}"
        )


def _answers(
    pictures: Sequence[LabelledPicture], model: Model, engine: Engine, fp32: Engine
) -> tuple[list[tuple[LabelledPicture, Floats, Floats]], str]:
    """Each picture with the engine's logits and fp32's, float32 `[classes]`; and which could not be decoded."""
    exact = jpeg.is_exact(model.decoding, engine.precision)
    answered: list[tuple[LabelledPicture, Floats, Floats]] = []
    failed: list[str] = []
    batches = [pictures[start : start + _BATCH] for start in range(0, len(pictures), _BATCH)]
    for batch in progress.bar(batches, f"checking {model.name}"):
        decoded = []
        for one in batch:
            try:
                data = one.path.read_bytes()
                served = decode.prepare(data, model.max_pixels, model.transform, exact=exact)[0]
                right = served
                if not exact:
                    right = decode.prepare(data, model.max_pixels, model.transform, exact=True)[0]
            except (RequestError, OSError) as error:
                failed.append(f"{one.path}: {error}")
            else:
                decoded.append((one, served, right))
        if decoded:
            ours = engine.logits(stack([served for _, served, _ in decoded])).numpy()
            plain = fp32.logits(stack([right for _, _, right in decoded])).numpy()
            answered += [(one, ours[i], plain[i]) for i, (one, _, _) in enumerate(decoded)]
    left_out = f"{len(failed)} pictures cannot be decoded and do not count, such as {failed[0]}" if failed else ""
    return answered, left_out


def _mistakes(
    model: Model,
    pictures: Sequence[LabelledPicture],
    logits: Floats,
    targets: Indices,
    fp32: Callable[[Transform], Engine],
) -> tuple[str, ...]:
    """What is probably wrong with the model, from fp32's logits `[N, classes]` of pictures that show `targets`."""
    answers = logits.argmax(axis=1)
    better_order = order.find(answers, targets, model.labels)
    is_right = dict(zip((one.path for one in pictures), answers == targets, strict=True))
    sample = labelled.evenly(pictures, transforms.SAMPLE)
    as_it_is = np.array([is_right[one.path] for one in sample], np.bool_)
    better_transform = transforms.find(model, sample, as_it_is, fp32)
    # Exchanged colours look like exchanged labels to a network that sees little else.
    if better_transform and not (better_order and better_order.after.value > better_transform.after.value):
        return (better_transform.describe(),)
    if better_order:
        return (better_order.describe(model.labels),)
    right = accuracy.top(logits, targets, 1)
    chance = stats.binomtest(right.count, right.total, 1 / len(model.labels), alternative="greater").pvalue
    if float(chance) > _CHANCE and right.total >= len(model.labels):
        guessed = f"{right.value:.1%} are right, no more than a guess among {len(model.labels)} classes would be"
        return (f"{guessed}: the head was not trained, or not on these classes",)
    return ()
