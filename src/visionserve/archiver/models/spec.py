"""What people write of a model: `models/NAME.yaml`, TorchServe's own settings and one `handler` section of ours.

Almost everything may be left out. The archiver fills it in and writes it into the archive as `model-config.yaml`,
from which TorchServe takes its settings and the worker its `runtime.model.Model`. Keys are TorchServe's
camelCase; the fields here are their snake_case.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from visionserve import schema
from visionserve.runtime.errors import SpecError
from visionserve.runtime.model import Decoding, EngineName, Interpolation, Precision, ResponseShape, Transform
from visionserve.schema import require

if TYPE_CHECKING:
    from collections.abc import Mapping

# TorchServe's own pattern for model names; it unpacks archives into a folder called `models`, so that is taken.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-.]*")
# File systems take names of 255 bytes, and a build adds to it.
_LONGEST_NAME = 200
_RESERVED_NAMES = frozenset({"models", "workflows"})
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class InputChanges:
    """What a YAML changes in the transform that its weights bring; see `Transform` for the fields."""

    resize: int | None = None
    crop: int | None = None
    interpolation: Interpolation | None = None
    antialias: bool | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        # Stand-ins for what is not changed, so that the values that are get the checks of a whole transform.
        Transform(**{"resize": 1, "crop": 1, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0), **self.given()})

    def given(self) -> dict[str, Any]:
        """The fields that are set."""
        return {f.name: value for f in dataclasses.fields(self) if (value := getattr(self, f.name)) is not None}

    def complete(self) -> Transform:
        """The transform, when nothing is left to be brought by the weights.

        Raises:
            SpecError: A field that has no default is not set.
        """
        missing = [name for name in ("resize", "crop", "mean", "std") if getattr(self, name) is None]
        require(not missing, f"handler.input has no {', '.join(missing)}, and the weights bring no transform")
        return Transform(**self.given())


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
        precision: The number format it runs in; `auto` is bf16 where the processor has it, or else fp32, and
            fp32 wherever that is faster.
        calibration: The folder of pictures that int8 is calibrated and judged on when the archive is built.
        min_agreement: The share of those pictures for which int8 must name the same class as fp32.
        check: Labelled pictures that the model is tried on when the archive is built, and, without `calibration`,
            int8's pictures too: a folder of one subfolder per class, or one with a CSV of names and classes.
        min_accuracy: The share of those pictures that it must be right about.
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
    check: str | None = None
    min_accuracy: float | None = None
    top_k: int = 5
    response: ResponseShape = "labels"
    max_pixels: int = 50_000_000
    max_images: int = 32
    decode: Decoding = "auto"

    def __post_init__(self) -> None:
        require(self.top_k > 0, f"handler.topK is {self.top_k}: an answer holds at least 1 class")
        require(
            self.precision != "int8" or self.engine in ("auto", "openvino"),
            f"handler.engine is {self.engine}, which does not run int8: only openvino does",
        )
        require(
            self.precision != "bf16" or self.engine != "ncnn",
            "handler.engine is ncnn, which runs fp32 alone: leave precision out, or take another engine for bf16",
        )
        require(
            0 < self.min_agreement <= 1,
            f"handler.minAgreement is {self.min_agreement}: it must be a share above 0 and at most 1",
        )
        require(
            self.min_accuracy is None or 0 < self.min_accuracy <= 1,
            f"handler.minAccuracy is {self.min_accuracy}: it must be a share above 0 and at most 1",
        )
        require(
            self.min_accuracy is None or self.check is not None,
            "handler.minAccuracy wants pictures to judge by: add 'check: FOLDER'",
        )
        require(self.max_pixels > 0, f"handler.maxPixels is {self.max_pixels}: it must be above 0")
        require(self.max_images > 0, f"handler.maxImages is {self.max_images}: a request holds at least 1 picture")
        require(
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
        require_name(self.name)
        require(self.min_workers > 0, f"minWorkers is {self.min_workers}: a served model needs at least 1")
        require(
            self.max_workers >= self.min_workers,
            f"maxWorkers is {self.max_workers}, below minWorkers {self.min_workers}: TorchServe would ignore both",
        )
        require(self.batch_size > 0, f"batchSize is {self.batch_size}: a batch holds at least 1 request")
        require(
            self.max_batch_delay > 0,
            f"maxBatchDelay is {self.max_batch_delay}: TorchServe takes 0 to mean 100 ms; write 1 or more",
        )
        require(self.response_timeout > 0, f"responseTimeout is {self.response_timeout}: seconds, above 0")
        require(self.startup_timeout > 0, f"startupTimeout is {self.startup_timeout}: seconds, above 0")
        require(self.job_queue_size > 0, f"jobQueueSize is {self.job_queue_size}: it must be above 0")

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
            return schema.read(cls, mapping, name=name)
        except SpecError as error:
            raise SpecError(f"{source}: {error}") from None

    def to_mapping(self) -> dict[str, Any]:
        """The same model as a YAML document with every default written out."""
        return schema.write(self)


def require_name(name: str) -> None:
    """Refuse a name by which TorchServe cannot serve a model.

    Raises:
        SpecError: It is one.
    """
    require(
        _NAME.fullmatch(name) is not None and name not in _RESERVED_NAMES and len(name) <= _LONGEST_NAME,
        f"model name '{name}': use at most {_LONGEST_NAME} letters, digits, '-', '_' and '.', starting with a"
        f" letter or digit, and none of {', '.join(sorted(_RESERVED_NAMES))}",
    )
