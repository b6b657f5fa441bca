"""What can go wrong with a model, each with one line for a person.

VisionserveError            the command line prints the line and exits with `exit_code`
├── SpecError               what a model's YAML or an archive says of a model is impossible
├── WeightsError            weights are missing, damaged, or not of this architecture
├── EngineError             an engine or a precision that this machine or this archive lacks
├── IntegrityError          an archive, or a member of it, is not what was built
└── GoldenError             the network does not give the answers it was built with

What can go wrong with one request is in `wire.errors`.
"""

from __future__ import annotations

from typing import ClassVar


class VisionserveError(Exception):
    """A failure with a message meant for a person: it names the value and what would work."""

    exit_code: ClassVar[int] = 1


class SpecError(VisionserveError):
    """A model has an unknown key, a wrong type or an impossible value."""


class WeightsError(VisionserveError):
    """Weights are missing, damaged, untrusted, or do not fit the architecture."""


class EngineError(VisionserveError):
    """An engine or a precision is lacking here, or none of those there are gives the right answers."""


class IntegrityError(VisionserveError):
    """An archive, or a member of it, is not what was built: damaged, changed or of unknown origin."""


class GoldenError(VisionserveError):
    """The network, as loaded here, does not give the answers recorded when it was built."""


def first_line(error: BaseException) -> str:
    """What an error of another library says, in one line; its kind where it says nothing."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
