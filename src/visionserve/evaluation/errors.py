"""What can go wrong with pictures whose classes are known."""

from visionserve.runtime.errors import VisionserveError


class LabelledPicturesError(VisionserveError):
    """There are no such pictures, they are laid out in no known way, or their classes are not the model's."""


class EvaluationError(VisionserveError):
    """A running server cannot be asked, or went away, or its answers cannot be compared."""
