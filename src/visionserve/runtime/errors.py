"""Everything that can go wrong, as one tree.

VisionserveError            one clear line for a person; the command line exits with `exit_code`
├── SpecError                   a model's YAML
├── WeightsError                a checkpoint: missing, damaged, or not for this architecture
│   └── UntrustedPickle             it holds more than tensors, so reading it would run its code
├── LabelsError                 a label file
├── GoldenError                 the network does not give the answers it was built with
└── RequestError            one request; `status` is its HTTP status, `type` names the cause to programs
    ├── InvalidRequest          400, the body is none of the forms we take
    ├── InvalidImage            400, the bytes are not an image we can read
    ├── ImageTooLarge           413, more pixels than the model allows
    └── ModelFailure            500, the network could not answer this item
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


class GoldenError(VisionserveError):
    """The network, as loaded here, does not give the answers recorded when it was built."""


class RequestError(VisionserveError):
    """One request cannot be answered; the others in its batch are not affected."""

    status: ClassVar[int] = 400
    type: ClassVar[str] = "InvalidRequest"


class InvalidRequest(RequestError):
    """The body is empty or none of the documented forms."""


class InvalidImage(RequestError):
    """The bytes are not an image in a format we read, or the image is damaged."""

    type = "InvalidImage"


class ImageTooLarge(RequestError):
    """The image has more pixels than the model's limit."""

    status = 413
    type = "ImageTooLarge"


class ModelFailure(RequestError):
    """The network raised, or answered with numbers that are no probabilities."""

    status = 500
    type = "ModelFailure"
