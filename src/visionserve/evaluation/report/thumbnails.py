"""Pictures small enough to travel in a page."""

from __future__ import annotations

import base64
import io
import warnings
from typing import TYPE_CHECKING

from PIL import Image, ImageOps

if TYPE_CHECKING:
    from pathlib import Path

SIDE = 96  # pixels of the longer side on the page; screens have up to twice as many
_DRAWN = 2 * SIDE
_QUALITY = 70


def of(path: Path) -> str:
    """A picture as the data URI of a small JPEG; empty if it cannot be read any more."""
    try:
        # Pillow tells of damaged metadata and of many pixels by warnings.
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:
            image.draft("RGB", (_DRAWN, _DRAWN))
            upright = ImageOps.exif_transpose(image).convert("RGB")
            upright.thumbnail((_DRAWN, _DRAWN))
            buffer = io.BytesIO()
            upright.save(buffer, "JPEG", quality=_QUALITY)
    except Exception:  # turning a picture writes its EXIF anew, and damage in that raises whatever it leads to
        return ""
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
