"""The confusion matrix as a chart: what pictures show downwards, what they were answered with across."""

from __future__ import annotations

import unicodedata
from html import escape
from typing import TYPE_CHECKING

from markupsafe import Markup

from visionserve.report.widths import NARROW, WIDE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from visionserve.evaluation.judging.confusion import Confusion, Grid

# As many classes as have room for numbers in their cells.
MOST = {WIDE: 20, NARROW: 8}

# All in pixels; characters are those of the 12 px label font, rather too wide than too narrow.
_NAMES = {WIDE: 165, NARROW: 92}
_CHARACTER, _BROAD, _FULL = 7.0, 10.5, 13.0
_LARGEST = 46  # of a cell
_GAP = 6
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
_STRONGEST = 0.55  # of a cell's colour, so that the number in it stays readable
_OTHERS = "others"


def draw(confusion: Confusion, labels: Sequence[str]) -> Markup:
    """The matrix, or the part of it with the most mistakes, for a wide page and for a narrow one."""
    drawn = (
        f'<div class="{name}">{_chart(confusion.grid(MOST[width]), labels, width)}</div>'
        for name, width in (("wide", WIDE), ("narrow", NARROW))
    )
    return Markup("".join(drawn))  # noqa: S704  # labels are escaped


def _chart(grid: Grid, labels: Sequence[str], width: int) -> str:
    names = [labels[index] for index in grid.classes]
    # Answers with classes that are not shown have a column of their own, if there are any.
    columns = [*names, _OTHERS] if grid.counts[:, -1].any() else names
    room = max(_length(_short(name, width)) for name in columns) + _GAP
    cell = min(_LARGEST, (width - room - 2) / len(columns))
    height = room + cell * len(names) + 2
    parts = []
    for position, name in enumerate(columns):
        x = room + (position + 0.5) * cell
        parts.append(
            f'<text x="{x:.1f}" y="{room - _GAP:.1f}" transform="rotate(-90 {x:.1f} {room - _GAP:.1f})"'
            f' dominant-baseline="central">{_text(name, width)}</text>'
        )
    for row, name in enumerate(names):
        y = room + (row + 0.5) * cell
        parts.append(
            f'<text x="{room - _GAP:.1f}" y="{y:.1f}" text-anchor="end" dominant-baseline="central">'
            f"{_text(name, width)}</text>"
        )
        total = int(grid.counts[row].sum())
        for column, answer in enumerate(columns):
            count = int(grid.counts[row, column])
            parts.append(_cell(row, column, count, total, room, cell, f"{name} answered with {answer}"))
    return (
        f'<svg class="matrix" viewBox="0 0 {width} {height:.0f}" width="{width}" height="{height:.0f}" role="img"'
        f' aria-label="Confusion matrix">{"".join(parts)}</svg>'
    )


def _cell(row: int, column: int, count: int, total: int, room: float, cell: float, tip: str) -> str:
    x, y = room + column * cell, room + row * cell
    series = "a" if row == column else "limit"
    strength = _STRONGEST * (count / total) ** 0.5 if count else 0.0
    number = (
        f'<text class="count" x="{x + cell / 2:.1f}" y="{y + cell / 2:.1f}" text-anchor="middle"'
        f' dominant-baseline="central">{count}</text>'
        if count
        else ""
    )
    return (
        f'<g><rect class="cell {series}" x="{x + 1:.1f}" y="{y + 1:.1f}" width="{cell - 2:.1f}"'
        f' height="{cell - 2:.1f}" rx="2" fill-opacity="{strength:.3f}"/>{number}'
        f"<title>{escape(tip)}: {count} of {total}</title></g>"
    )


def _short(name: str, width: int) -> str:
    if _length(name) <= _NAMES[width]:
        return name
    longest = max(end for end in range(len(name)) if _length(name[:end] + _ELLIPSIS) <= _NAMES[width])
    return name[:longest].rstrip() + _ELLIPSIS


def _length(text: str) -> float:
    return sum(
        _FULL
        if character == _ELLIPSIS or unicodedata.east_asian_width(character) in "WF"
        else _BROAD
        if character.isupper() or character in "mw%@_"
        else _CHARACTER
        for character in text
    )


def _text(name: str, width: int) -> str:
    short = _short(name, width)
    return escape(short) if short == name else f"{escape(short)}<title>{escape(name)}</title>"
