"""Pictures of every format x mode x size x damage, each with the pixels or the refusal it must get."""

from __future__ import annotations

from functools import cache

from tests.support.pictures import readable, refused
from tests.support.pictures.encoding import encoded, picture
from tests.support.pictures.variant import Variant

__all__ = ["MAX_PIXELS", "Variant", "encoded", "picture", "variants"]

MAX_PIXELS = 1_000_000


@cache
def variants() -> tuple[Variant, ...]:
    """The whole corpus."""
    return (*readable.variants(), *refused.variants())
