"""What a deployed model is: TorchServe's own settings and one `handler` section of ours.

The same mapping is written by people in `models/NAME.yaml`, carried in the archive as `model-config.yaml`
with every default resolved, and handed to the worker by TorchServe. Keys are TorchServe's camelCase; the
fields here are their snake_case.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
import typing
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from visionserve.runtime.errors import SpecError

if typing.TYPE_CHECKING:
    from collections.abc import Mapping

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]
EngineName = Literal["auto", "eager", "compiled", "openvino"]
Precision = Literal["auto", "fp32", "bf16", "int8"]
ResponseShape = Literal["labels", "detailed"]

# TorchServe's own pattern for model names; it unpacks archives into a folder called `models`, so that is taken.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-.]*")
_RESERVED_NAMES = frozenset({"models", "workflows"})
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """How a decoded picture becomes the network's input; torchvision's classification transform.

    Attributes:
        resize: The shorter side after resizing, in pixels.
        crop: The side of the central square that is kept, in pixels.
        interpolation: The resampling filter.
        antialias: Whether resizing tensors smooths first; Pillow images are always smoothed.
        mean: Per RGB channel, subtracted after scaling to [0, 1].
        std: Per RGB channel, divided by after the mean is subtracted.
    """

    resize: int
    crop: int
    interpolation: Interpolation = "bilinear"
    antialias: bool = True
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __post_init__(self) -> None:
        _check(self.resize > 0, f"input.resize is {self.resize}: it must be a positive number of pixels")
        _check(self.crop > 0, f"input.crop is {self.crop}: it must be a positive number of pixels")
        _check(min(self.std) > 0, f"input.std is {list(self.std)}: every value must be above 0")

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """Height and width after resizing: the shorter side becomes `resize`, the other is rounded down."""
        if width <= height:
            return int(self.resize * height / width), self.resize
        return self.resize, int(self.resize * width / height)

    def corner(self, height: int, width: int) -> tuple[int, int]:
        """Top and left of the central square of a resized picture; negative where the picture is the smaller."""
        top, left = (
            round((side - self.crop) / 2.0) if side >= self.crop else -((self.crop - side) // 2)
            for side in (height, width)
        )
        return top, left


@dataclass(frozen=True, kw_only=True)
class InputChanges:
    """What a YAML changes in the transform that its weights bring; see `InputSpec` for the fields.

    In an archive every field is set, so the worker asks nobody else.
    """

    resize: int | None = None
    crop: int | None = None
    interpolation: Interpolation | None = None
    antialias: bool | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        # Stand-ins for what is not changed, so that the values that are get the checks of a whole transform.
        InputSpec(**{"resize": 1, "crop": 1, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0), **self.given()})

    def given(self) -> dict[str, Any]:
        """The fields that are set."""
        return {f.name: value for f in dataclasses.fields(self) if (value := getattr(self, f.name)) is not None}

    def complete(self) -> InputSpec:
        """The transform, when nothing is left to be brought by the weights.

        Raises:
            SpecError: A field that has no default is not set.
        """
        missing = [name for name in ("resize", "crop", "mean", "std") if getattr(self, name) is None]
        _check(not missing, f"handler.input has no {', '.join(missing)}, and the weights bring no transform")
        return InputSpec(**self.given())


@dataclass(frozen=True, kw_only=True)
class HandlerSpec:
    """The section of the YAML that is ours.

    Attributes:
        architecture: A torchvision classifier's name, as `torchvision.models.list_models` gives it, or
            `package.module:function`, called as `function(num_classes=N, **options)`.
        options: Further arguments of the architecture's constructor.
        weights: A torchvision weights entry (`IMAGENET1K_V2`), a file, or nothing for what is there.
        weights_key: Where in the weights file the state dict is (`model_ema`); found by itself if not given.
        sha256: The digest the weights file must have, in hexadecimal.
        labels: A file with one label per class; without it the weights entry's categories.
        input: What to change in the transform that the weights bring.
        engine: What runs the network; `auto` is the fastest there is that gives the right answers.
        precision: The number format it runs in; `auto` is bf16 where the processor has it, else fp32.
        calibration: The folder of pictures that int8 is calibrated and judged on when the archive is built.
        min_agreement: The share of those pictures for which int8 must name the same class as fp32.
        top_k: How many classes an answer holds; all of them when the network has fewer.
        response: What an answer tells unless the request says: `labels` with probabilities, or `detailed`.
        max_pixels: The most pixels (width x height) the pictures of one request may have before they are decoded.
        max_images: The most pictures one request may hold.
        decode: `exact` follows torchvision's transform to the bit; `fast` takes half the time for a photograph;
            `auto` is exact where the precision is fp32, and fast where the network itself approximates.
    """

    architecture: str
    options: dict[str, Any] = field(default_factory=dict)
    weights: str | None = None
    weights_key: str | None = None
    sha256: str | None = None
    labels: str | None = None
    input: InputChanges | None = None
    engine: EngineName = "auto"
    precision: Precision = "auto"
    calibration: str | None = None
    min_agreement: float = 0.99
    top_k: int = 5
    response: ResponseShape = "labels"
    max_pixels: int = 50_000_000
    max_images: int = 32
    decode: Literal["auto", "fast", "exact"] = "auto"

    def __post_init__(self) -> None:
        _check(self.top_k > 0, f"handler.topK is {self.top_k}: an answer holds at least 1 class")
        _check(
            self.precision != "int8" or self.engine in ("auto", "openvino"),
            f"handler.engine is {self.engine}, which does not run int8: only openvino does",
        )
        _check(
            0 < self.min_agreement <= 1,
            f"handler.minAgreement is {self.min_agreement}: it must be a share above 0 and at most 1",
        )
        _check(self.max_pixels > 0, f"handler.maxPixels is {self.max_pixels}: it must be above 0")
        _check(self.max_images > 0, f"handler.maxImages is {self.max_images}: a request holds at least 1 picture")
        _check(
            self.sha256 is None or _SHA256.fullmatch(self.sha256) is not None,
            f"handler.sha256 is '{self.sha256}': it must be 64 hexadecimal digits, in lower case",
        )


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """One deployed model.

    Attributes:
        handler: What the worker runs.
        min_workers: Worker processes; TorchServe never starts more than this by itself.
        max_workers: At least `min_workers`, or TorchServe ignores both.
        batch_size: The most requests one worker answers together.
        max_batch_delay: How long a worker waits for a batch to fill, in milliseconds.
        response_timeout: How long a batch may take before TorchServe kills the worker, in seconds.
        startup_timeout: How long loading and warming up may take, in seconds.
        device_type: Pin to `cpu` or `gpu`; without it a GPU is used where there is one.
        job_queue_size: Requests that may wait; the next one is answered 503.
        max_retry_timeout_in_sec: How long TorchServe restarts a worker that cannot load, in seconds.
    """

    handler: HandlerSpec
    min_workers: int = 1
    max_workers: int = 1
    batch_size: int = 8
    max_batch_delay: int = 1
    response_timeout: int = 120
    startup_timeout: int = 300
    device_type: Literal["cpu", "gpu"] | None = None
    device_ids: tuple[int, ...] | None = None
    job_queue_size: int = 100
    max_retry_timeout_in_sec: int = 60
    name: str = field(metadata={"yaml": False})

    def __post_init__(self) -> None:
        _check(
            _NAME.fullmatch(self.name) is not None and self.name not in _RESERVED_NAMES,
            f"model name '{self.name}': use letters, digits, '-', '_' and '.', starting with a letter or digit"
            f", and none of {', '.join(sorted(_RESERVED_NAMES))}",
        )
        _check(self.min_workers > 0, f"minWorkers is {self.min_workers}: a served model needs at least 1")
        _check(
            self.max_workers >= self.min_workers,
            f"maxWorkers is {self.max_workers}, below minWorkers {self.min_workers}: TorchServe would ignore both",
        )
        _check(self.batch_size > 0, f"batchSize is {self.batch_size}: a batch holds at least 1 request")
        _check(
            self.max_batch_delay > 0,
            f"maxBatchDelay is {self.max_batch_delay}: TorchServe takes 0 to mean 100 ms; write 1 or more",
        )
        _check(self.response_timeout > 0, f"responseTimeout is {self.response_timeout}: seconds, above 0")
        _check(self.startup_timeout > 0, f"startupTimeout is {self.startup_timeout}: seconds, above 0")
        _check(self.job_queue_size > 0, f"jobQueueSize is {self.job_queue_size}: it must be above 0")

    @classmethod
    def from_mapping(cls, name: str, mapping: Mapping[str, Any], source: str) -> ModelSpec:
        """Read a model from its parsed YAML.

        Args:
            name: The model's name, by which TorchServe serves it.
            mapping: The YAML document.
            source: The file, for messages.

        Raises:
            SpecError: A key is unknown, missing or of the wrong type, or a value is impossible; the message
                starts with `source`.
        """
        try:
            return _read(cls, {**mapping}, "", name=name)
        except SpecError as error:
            raise SpecError(f"{source}: {error}") from None

    def to_mapping(self) -> dict[str, Any]:
        """The same model as a YAML document with every default written out."""
        return _write(self)


_T = TypeVar("_T")


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise SpecError(message)


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


def _read(cls: type[_T], mapping: Mapping[str, Any], path: str, **given: Any) -> _T:
    """Make dataclass `cls` from camelCase keys; `path` is the dotted place in the document, for messages."""
    fields = {_camel(f.name): f for f in dataclasses.fields(cls) if f.metadata.get("yaml", True)}  # type: ignore[arg-type]
    types_of = typing.get_type_hints(cls)
    values: dict[str, Any] = dict(given)
    for key, value in mapping.items():
        if key not in fields:
            close = difflib.get_close_matches(str(key), fields, n=1)
            hint = f" (did you mean '{close[0]}'?)" if close else ""
            raise SpecError(f"unknown key '{path}{key}'{hint}; allowed: {', '.join(sorted(fields))}")
        values[fields[key].name] = _convert(types_of[fields[key].name], value, f"{path}{key}")
    for key, spec_field in fields.items():
        required = spec_field.default is spec_field.default_factory is dataclasses.MISSING
        if required and spec_field.name not in values:
            raise SpecError(f"key '{path}{key}' is missing")
    return cls(**values)


def _convert(wanted: Any, value: Any, path: str) -> Any:
    origin, args = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (types.UnionType, typing.Union):
        (inner,) = (arg for arg in args if arg is not type(None))
        return None if value is None else _convert(inner, value, path)
    if origin is Literal:
        if value in args:
            return value
        raise SpecError(f"{path} is {value!r}; allowed: {', '.join(map(str, args))}")
    if dataclasses.is_dataclass(wanted):
        if isinstance(value, dict):
            return _read(typing.cast("type[Any]", wanted), value, f"{path}.")
        raise SpecError(f"{path} is {value!r}: it must be a mapping of keys to values")
    if origin is dict:
        if isinstance(value, dict) and all(isinstance(key, str) for key in value):
            return dict(value)
        raise SpecError(f"{path} is {value!r}: it must be a mapping of names to values")
    if origin is tuple:
        inner, length = args[0], None if args[-1] is Ellipsis else len(args)
        if isinstance(value, (list, tuple)) and length in (None, len(value)):
            return tuple(_convert(inner, item, f"{path}[{i}]") for i, item in enumerate(value))
        raise SpecError(f"{path} is {value!r}: it must be a list of {length or 'any number of'} values")
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is wanted:
        return value
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    raise SpecError(f"{path} is {value!r}: it must be {words[wanted]}")


def _write(spec: Any) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if dataclasses.is_dataclass(value):
            return _write(value)
        return list(value) if isinstance(value, tuple) else value

    values = {
        _camel(f.name): plain(getattr(spec, f.name))
        for f in dataclasses.fields(spec)
        if f.metadata.get("yaml", True)
    }
    return {key: value for key, value in values.items() if value is not None and value != {}}
