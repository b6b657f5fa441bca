"""What an archive serves: one model, with nothing left open.

People write `models/NAME.yaml`, where almost everything may be left out; the archiver fills in what they left
out, and this is read from the result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from visionserve.runtime.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
EngineName = Literal["auto", "eager", "compiled", "openvino", "ncnn"]
Precision = Literal["auto", "fp32", "bf16", "int8"]
ResponseShape = Literal["labels", "detailed"]
Decoding = Literal["auto", "fast", "exact"]

_CHANNELS = 3


@dataclass(frozen=True, kw_only=True)
class Transform:
    """How a decoded picture becomes the network's input; torchvision's classification transform.

    Attributes:
        resize: The shorter side after resizing, in pixels.
        crop: The side of the central square that is kept, in pixels.
        interpolation: The resampling filter.
        antialias: Whether resizing tensors smooths first; Pillow images are always smoothed.
        mean: Per RGB channel, subtracted after scaling to [0, 1].
        std: Per RGB channel, divided by after the mean is subtracted.

    Raises:
        SpecError: A size is not positive, a mean not a finite number up to 1, or a standard deviation not a finite
            one above 0.
    """

    resize: int
    crop: int
    interpolation: Interpolation = "bilinear"
    antialias: bool = True
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __post_init__(self) -> None:
        for name, value in (("resize", self.resize), ("crop", self.crop)):
            if value <= 0:
                raise SpecError(f"input.{name} is {value}: it must be a positive number of pixels")
        if self.interpolation not in get_args(Interpolation):
            allowed = ", ".join(get_args(Interpolation))
            raise SpecError(f"input.interpolation is {self.interpolation!r}; allowed: {allowed}")
        if len(self.mean) != _CHANNELS or len(self.std) != _CHANNELS:
            raise SpecError("input.mean and input.std hold a number each for red, green and blue")
        for name, numbers in (("mean", self.mean), ("std", self.std)):
            if not all(map(math.isfinite, numbers)):
                raise SpecError(f"input.{name} is {list(numbers)}: every value must be a finite number")
        if max(self.mean) > 1:
            raise SpecError(
                f"input.mean is {list(self.mean)}: it is subtracted from pixels scaled to [0, 1]; divide by 255"
            )
        if min(self.std) <= 0:
            raise SpecError(f"input.std is {list(self.std)}: every value must be above 0")


@dataclass(frozen=True, kw_only=True)
class Model:
    """One served model.

    Attributes:
        name: The name it is served by.
        version: The archive's version of it.
        architecture: A torchvision classifier's name, or `package.module:function`.
        options: Further arguments of the architecture's constructor.
        weights: The archive's weights file.
        sha256: That file's digest, in hexadecimal.
        labels: One distinct label per class, in class order.
        transform: How a picture becomes the network's input.
        engine: What runs the network; `auto` is the fastest there is that gives the right answers.
        precision: The number format it runs in; `auto` is bf16 where the processor has it, or else fp32, and
            fp32 wherever that is faster.
        decoding: `exact` follows torchvision's transform to the bit, `fast` takes half the time for a photograph,
            `auto` is exact where the precision is fp32.
        batch_size: The most pictures that the network runs together.
        top_k: How many classes an answer holds unless the request says.
        response: What an answer tells unless the request says.
        max_pixels: The most pixels (width x height) that the pictures of one request may have together.
        max_images: The most pictures one request may hold.
    """

    name: str
    version: str
    architecture: str
    options: Mapping[str, Any]
    weights: str
    sha256: str
    labels: tuple[str, ...]
    transform: Transform
    engine: EngineName
    precision: Precision
    decoding: Decoding
    batch_size: int
    top_k: int
    response: ResponseShape
    max_pixels: int
    max_images: int

    def __post_init__(self) -> None:
        for name in ("batch_size", "top_k", "max_pixels", "max_images"):
            value = getattr(self, name)
            if type(value) is not int or value <= 0:
                raise SpecError(f"model {self.name}: {name} is {value!r}: it must be a whole number above 0")
        choices = {"engine": EngineName, "precision": Precision, "decoding": Decoding, "response": ResponseShape}
        for name, allowed in choices.items():
            value = getattr(self, name)
            if value not in get_args(allowed):
                raise SpecError(f"model {self.name}: {name} is {value!r}; allowed: {', '.join(get_args(allowed))}")
        for name in ("architecture", "weights", "sha256"):
            if not isinstance(getattr(self, name), str):
                raise SpecError(f"model {self.name}: {name} is {getattr(self, name)!r}: it must be text")

    @classmethod
    def from_config(cls, config: Mapping[str, Any], labels: Sequence[str], name: str, version: str) -> Model:
        """The model of an archive's `model-config.yaml`, parsed.

        Args:
            config: TorchServe's own settings, and the section `handler` with every key that this needs.
            labels: One distinct label per class.
            name: The name it is served by.
            version: The archive's version of it.

        Raises:
            SpecError: A key is missing or of the wrong type, or a value is impossible.
        """
        try:
            handler = config["handler"]
            if not isinstance(handler, dict):
                raise SpecError(f"model {name}: its model-config.yaml has no section handler; build it again")
            return cls(
                name=name,
                version=version,
                architecture=handler["architecture"],
                options=handler.get("options", {}),
                weights=handler["weights"],
                sha256=handler["sha256"],
                labels=tuple(labels),
                transform=_transform(handler["input"]),
                engine=handler["engine"],
                precision=handler["precision"],
                decoding=handler["decode"],
                batch_size=config["batchSize"],
                top_k=handler["topK"],
                response=handler["response"],
                max_pixels=handler["maxPixels"],
                max_images=handler["maxImages"],
            )
        except KeyError as error:
            raise SpecError(f"model {name}: its model-config.yaml lacks {error}; build it again") from error
        except (TypeError, ValueError, AttributeError) as error:
            raise SpecError(f"model {name}: its model-config.yaml is damaged: {error}; build it again") from error


def _transform(section: Mapping[str, Any]) -> Transform:
    return Transform(
        resize=section["resize"],
        crop=section["crop"],
        interpolation=section["interpolation"],
        antialias=section["antialias"],
        mean=tuple(section["mean"]),
        std=tuple(section["std"]),
    )
