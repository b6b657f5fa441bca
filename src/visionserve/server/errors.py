"""What can go wrong around the server."""

from visionserve.runtime.errors import VisionserveError


class ServerError(VisionserveError):
    """The server cannot be started, or a model does not become ready."""


class WrongAnswer(ServerError):
    """A model answers a golden picture otherwise than its archive says."""
