"""What can go wrong around a load test; a server that answers badly is a result, not an error."""

from visionserve.runtime.errors import VisionserveError


class LoadError(VisionserveError):
    """The load test cannot be run, or results cannot be read."""

    exit_code = 2
