"""The key by which a server knows who asks, as our own client and tools are given it.

A file's first line, or the environment; never the command line, which every user of a machine may read.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from visionserve.runtime.errors import VisionserveError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

VARIABLE = "VISIONSERVE_API_KEY"

# What may stand in a header: visible ASCII in one word.
_KEY = re.compile(r"[!-~]+")


def find(file: Path | None = None) -> str | None:
    """The key to send: a file's, else that of the environment's `VISIONSERVE_API_KEY`, else none.

    Raises:
        VisionserveError: What is there is no key; the message does not tell it.
    """
    if file is None:
        text = os.environ.get(VARIABLE, "").strip()
        return _checked(text, VARIABLE) if text else None
    try:
        return _checked(file.read_text(encoding="utf-8").strip(), str(file))
    except OSError as error:
        raise VisionserveError(f"{file}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise VisionserveError(f"{file}: holds no key, which is one word on one line") from None


def header(key: str | None) -> Mapping[str, str]:
    """The header that carries it."""
    return {} if key is None else {"Authorization": f"Bearer {key}"}


def _checked(text: str, place: str) -> str:
    if _KEY.fullmatch(text) is None:
        raise VisionserveError(f"{place}: holds no key, which is one word on one line")
    return text
