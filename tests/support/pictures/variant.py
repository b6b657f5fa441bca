"""A picture with what must become of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Variant:
    """One picture and what must become of it.

    Attributes:
        name: Format, mode, size and damage.
        data: The file.
        status: The HTTP status of its answer.
        type: The error's type, or None.
        pixels: What it shows, where it can be read.
    """

    name: str
    data: bytes
    status: int = 200
    type: str | None = None
    pixels: Image.Image | None = None
