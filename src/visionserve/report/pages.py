"""Templates to files: a page that works offline, and numbers as people and as JSON read them."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_UNKNOWN = "\N{EN DASH}"


def templates(package: str) -> Environment:
    """The templates `*.j2` of a package, which may extend `page.html.j2` of this one.

    They know the filters `number` and `percent`, and a name that they use must be given.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, "."), PackageLoader(__package__, ".")]),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "percent": percent}
    return environment


def number(value: float | None) -> str:
    """A number as short as it can be read."""
    if value is None or math.isnan(value):
        return _UNKNOWN
    if math.isinf(value):
        return "∞"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}" if abs(value) >= 100 else f"{value:.3g}"


def percent(share: float) -> str:
    """A share of one, in percent; it stays on one line."""
    return _UNKNOWN if math.isnan(share) else f"{100 * share:.3g}\N{NO-BREAK SPACE}%"


def write_json(document: Mapping[str, Any], path: Path) -> None:
    """Write a document as JSON can hold it: numbers that are not finite become null."""
    path.write_text(json.dumps(_finite(document), indent=1, allow_nan=False), encoding="utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
