"""What can go wrong on the builder's machine alone."""

from visionserve.runtime.errors import VisionserveError, WeightsError


class UntrustedPickle(WeightsError):
    """A checkpoint holds objects other than tensors, which only running its code could rebuild."""


class LabelsError(VisionserveError):
    """A label file cannot be read, or its count differs from the network's classes."""


class CalibrationError(VisionserveError):
    """There are too few pictures to calibrate int8 on, or its answers stray too far from fp32's."""


class CheckError(VisionserveError):
    """The model is right about the user's own pictures too seldom, or they cannot be read."""


class UnprovenError(VisionserveError):
    """A finished archive cannot be opened where it and the installed libraries are all there is."""
