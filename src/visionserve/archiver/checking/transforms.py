"""Whether the network was trained with another transform: the usual ones are tried on a sample."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from visionserve import progress
from visionserve.evaluation.accuracy import Share, is_better
from visionserve.runtime.pictures import decode
from visionserve.runtime.pictures.fit import fit, stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy.typing as npt

    from visionserve.evaluation.labelled import LabelledPicture
    from visionserve.runtime.engines import Engine
    from visionserve.runtime.model import Model, Transform

# Of two transforms, one right for 20 more of so many is better by more than chance, and a dozen of them take
# ResNet-50 a minute on two cores.
SAMPLE = 128
# The probability with which any of the others may be called better though none is.
_CHANCE = 1e-3

# torchvision's presets of ImageNet resize to 256 or, since 2021, to 232, and crop 224 of it.
_RESIZES = (256 / 224, 232 / 224, 1.0)
_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_HALF = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
_UNIT = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
_BYTES = {"mean": (0.0, 0.0, 0.0), "std": (1 / 255, 1 / 255, 1 / 255)}


@dataclass(frozen=True)
class Variant:
    """Another transform.

    Attributes:
        name: What it does, for a sentence.
        remedy: How the model is made to do it.
        transform: What follows decoding.
        bgr: Whether blue comes first, as OpenCV reads pictures.
        squeezed: Whether the whole picture is squeezed to a square, as `Resize((224, 224))` does.
    """

    name: str
    remedy: str
    transform: Transform
    bgr: bool = False
    squeezed: bool = False

    def pixels(self, image: Image.Image) -> npt.NDArray[np.uint8]:
        """What it makes of an RGB picture, uint8 `[crop, crop, 3]`; scaling and normalising are the engine's."""
        if self.squeezed:
            side = self.transform.crop
            found = np.asarray(image.resize((side, side), Image.Resampling[self.transform.interpolation.upper()]))
        else:
            found = fit(image, self.transform)
        return np.ascontiguousarray(found[..., ::-1]) if self.bgr else found


@dataclass(frozen=True)
class BetterTransform:
    """A transform by which clearly more of a sample is answered rightly.

    Attributes:
        variant: The transform.
        before: How often the answers are right by the model's own.
        after: How often they are by this.
    """

    variant: Variant
    before: Share
    after: Share

    def describe(self) -> str:
        """A sentence on what is wrong and what to do."""
        return (
            f"the transform is not the one that it was trained with: of a sample of {self.before.total} pictures"
            f" {self.before.value:.1%} are answered rightly as it is, {self.after.value:.1%} with"
            f" {self.variant.name}: {self.variant.remedy}"
        )


def find(
    model: Model,
    pictures: Sequence[LabelledPicture],
    right: npt.NDArray[np.bool_],
    fp32: Callable[[Transform], Engine],
) -> BetterTransform | None:
    """Try the usual transforms on pictures that can be decoded, and take the best if it is clearly better.

    Args:
        model: The model, whose transform is held against the others.
        pictures: The sample.
        right: Whether the network answers each of them rightly by its own transform.
        fp32: The network behind a transform.

    Returns:
        The best of them, or None if none is better by more than chance.
    """
    others = list(variants(model.transform))
    chance = _CHANCE / len(others)
    # If every wrong answer became right and that were still chance, nothing can be found.
    if not is_better(right, np.ones_like(right), chance):
        return None
    shown = progress.bar(pictures, f"trying {len(others)} other transforms")
    tried = _right(others, shown, len(pictures), fp32, model.max_pixels)
    best = int(tried.sum(axis=1).argmax())
    if not is_better(right, tried[best], chance):
        return None
    total = len(pictures)
    return BetterTransform(others[best], Share(int(right.sum()), total), Share(int(tried[best].sum()), total))


def variants(own: Transform) -> Iterator[Variant]:
    """The usual transforms that are not the model's own, each of which changes one thing."""

    def changed(**changes: Any) -> Transform:
        return dataclasses.replace(own, **changes)

    for ratio in _RESIZES:
        side = round(own.crop * ratio)
        if side != own.resize:
            yield Variant(f"resize {side}", f"say --resize {side}, or input.resize", changed(resize=side))
    for filter_ in ("bilinear", "bicubic"):
        if filter_ != own.interpolation:
            remedy = f"say 'interpolation: {filter_}' in handler.input"
            yield Variant(f"{filter_} resizing", remedy, changed(interpolation=filter_))
    for name, numbers in (
        ("ImageNet's mean and std", _IMAGENET),
        ("mean and std 0.5", _HALF),
        ("pixels from 0 to 1", _UNIT),
        ("pixels from 0 to 255", _BYTES),
    ):
        if numbers != {"mean": own.mean, "std": own.std}:
            mean, std = (",".join(f"{value:.6g}" for value in numbers[key]) for key in ("mean", "std"))
            yield Variant(name, f"say --mean {mean} --std {std}, or input.mean and input.std", changed(**numbers))
    swap = "exchange the input channels of its first convolution, weight[:, [2, 1, 0]]"
    yield Variant("blue before green and red, as OpenCV reads pictures", swap, own, bgr=True)
    square = f"it was trained with Resize(({own.crop}, {own.crop})), which is not served; train it with a crop"
    yield Variant("the whole picture squeezed to a square", square, own, squeezed=True)


def _right(
    tried: Sequence[Variant],
    pictures: Iterable[LabelledPicture],
    count: int,
    fp32: Callable[[Transform], Engine],
    max_pixels: int,
) -> npt.NDArray[np.bool_]:
    """Whether each transform's answer to each picture is right, `[transforms, pictures]`."""
    engines = [fp32(variant.transform) for variant in tried]
    found = np.zeros((len(tried), count), np.bool_)
    for at, picture in enumerate(pictures):
        image = decode.decode(picture.path.read_bytes(), max_pixels)
        for row, (variant, engine) in enumerate(zip(tried, engines, strict=True)):
            logits = engine.logits(stack([variant.pixels(image)]))[0]
            found[row, at] = int(logits.argmax()) == picture.target
    return found
