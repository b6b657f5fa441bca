"""What can go wrong with one request; `status` is its HTTP status, `type` names the cause to programs.

RequestError
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

from visionserve.runtime.errors import VisionserveError


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
