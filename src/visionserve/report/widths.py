"""Every chart drawn twice, for a wide page and for a narrow one, in pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from visionserve.report.charts import Chart

WIDE, NARROW = 760, 340
HEIGHT, LOW = 290, 190


def both(draw: Callable[[int], Sequence[Chart]]) -> Markup:
    """Draw for either width; the page's style shows the one that fits."""
    drawn = (
        f'<div class="{name}">{"".join(chart.svg() for chart in draw(width))}</div>'
        for name, width in (("wide", WIDE), ("narrow", NARROW))
    )
    return Markup("".join(drawn))  # noqa: S704  # charts escape the texts in them
