"""Everything that can go wrong, as one tree.

VisionserveError            one clear line for a person; the command line exits with `exit_code`
├── SpecError                   a model's YAML
├── WeightsError                a checkpoint: missing, damaged, or not for this architecture
│   └── UntrustedPickle             it holds more than tensors, so reading it would run its code
├── LabelsError                 a label file
├── EngineError                 an engine or a precision that this machine or this archive lacks
├── GoldenError                 the network does not give the answers it was built with
├── CalibrationError            int8: too few pictures, or answers too far from fp32's
└── RequestError            one request; `status` is its HTTP status, `type` names the cause to programs
    ├── EmptyRequest            400, there is no body
    ├── InvalidRequest          400, the body is none of the forms we take
    ├── InvalidJson             400, the body starts as JSON and is not
    ├── InvalidBase64           400, a picture's text is not base64
    ├── InvalidImage            400, the bytes are not an image we can read
    ├── InvalidHeader           400, an option's header has an impossible value
    ├── ImageTooLarge           413, more pixels than the model allows
    ├── TooManyImages           413, more pictures in one request than the model allows
    ├── UnsupportedFormat       415, a known kind of file that is not a picture we take
    ├── InvalidTensor           422, a tensor of the wrong shape, type or size
    ├── ModelFailure            500, the network could not answer this item
    ├── ExplanationUnsupported  501, it asks for an explanation, which is not served
    ├── OutOfMemory             503, the device has no memory left for this item
    └── DeadlineExceeded        504, the answer would have come too late
"""

from __future__ import annotations

from typing import ClassVar


class VisionserveError(Exception):
    """A failure with a message meant for a person: it names the value and what would work."""

    exit_code: ClassVar[int] = 1


class SpecError(VisionserveError):
    """A model's YAML has an unknown key, a wrong type or an impossible value."""


class WeightsError(VisionserveError):
    """A checkpoint is missing, damaged, untrusted, or does not fit the architecture."""


class UntrustedPickle(WeightsError):
    """A checkpoint holds objects other than tensors, which only running its code could rebuild."""


class LabelsError(VisionserveError):
    """A label file cannot be read, or its count differs from the network's classes."""


class EngineError(VisionserveError):
    """An engine or a precision is lacking here, or none of those there are gives the right answers."""


class GoldenError(VisionserveError):
    """The network, as loaded here, does not give the answers recorded when it was built."""


class CalibrationError(VisionserveError):
    """There are too few pictures to calibrate int8 on, or its answers stray too far from fp32's."""


class RequestError(VisionserveError):
    """One request cannot be answered; the others in its batch are not affected."""

    status: ClassVar[int] = 400
    type: ClassVar[str] = "InvalidRequest"


class EmptyRequest(RequestError):
    """The request has no body, or a multipart body without a file."""

    type = "EmptyRequest"


class InvalidRequest(RequestError):
    """The body is none of the documented forms."""


class InvalidJson(RequestError):
    """The body starts as a JSON document and cannot be parsed as one."""

    type = "InvalidJson"


class InvalidBase64(RequestError):
    """Text that should be a picture in base64 is not base64."""

    type = "InvalidBase64"


class InvalidImage(RequestError):
    """The bytes are not an image in a format we read, or the image is damaged."""

    type = "InvalidImage"


class InvalidHeader(RequestError):
    """A header that sets an option has a value it cannot have."""

    type = "InvalidHeader"


class ImageTooLarge(RequestError):
    """The request's pictures have more pixels than the model's limit."""

    status = 413
    type = "ImageTooLarge"


class TooManyImages(RequestError):
    """The request holds more pictures than the model's limit."""

    status = 413
    type = "TooManyImages"


class UnsupportedFormat(RequestError):
    """The bytes are of a known kind that is not a picture we take: PDF, SVG, video, HTML."""

    status = 415
    type = "UnsupportedFormat"


class InvalidTensor(RequestError):
    """A tensor has a shape, type, size or values that are no pictures."""

    status = 422
    type = "InvalidTensor"


class ModelFailure(RequestError):
    """The network raised, or answered with numbers that are no probabilities."""

    status = 500
    type = "ModelFailure"


class ExplanationUnsupported(RequestError):
    """The request asks for an explanation of a prediction."""

    status = 501
    type = "ExplanationUnsupported"


class OutOfMemory(RequestError):
    """The device has no memory left for this request, even by itself."""

    status = 503
    type = "OutOfMemory"


class DeadlineExceeded(RequestError):
    """The client's deadline passed before the request was answered."""

    status = 504
    type = "DeadlineExceeded"
