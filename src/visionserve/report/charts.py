"""Charts as inline SVG: axes, lines, bars, marks. Colours come from the page's style, light or dark."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LEFT, RIGHT, TOP, BOTTOM = 52, 14, 30, 42
_CHARACTER = 6.6  # pixels, about, of the 12 px label font
_LINE = 15


@dataclass(frozen=True)
class Scale:
    """From values to pixels.

    Attributes:
        low: The value at `start`.
        high: The value at `end`.
        start: Pixels.
        end: Pixels.
        log: Whether equal ratios take equal room.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The pixel of a value, kept inside the scale."""
        value = min(max(value, self.low), self.high)
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, about: int) -> list[float]:
        """Round values, about as many as asked for."""
        return log_ticks(self.low, self.high, about) if self.log else linear_ticks(self.low, self.high, about)


def linear_ticks(low: float, high: float, about: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten from low to high."""
    step = 10 ** math.floor(math.log10((high - low) / about))
    step = next(step * factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= about)
    first = math.ceil(low / step - 1e-9)
    return [round(turn * step, 12) for turn in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float, about: int) -> list[float]:
    """1, 2 and 5 times powers of ten from low to high; only the powers where those are too many."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = [
            f * 10.0**d
            for d in decades
            for f in factors
            if low <= f * 10.0**d * (1 + 1e-9) and f * 10.0**d <= high * (1 + 1e-9)
        ]
        if len(found) <= about:
            break
    return found


def number(value: float) -> str:
    """A number as short as it can be read."""
    if value and abs(value) < 1:
        return f"{value:.2g}"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


@dataclass
class Chart:
    """One pair of axes and what is drawn on it.

    Attributes:
        title: What it shows, for those who cannot see it.
        width: Pixels.
        height: Pixels.
        x: The horizontal range.
        y: The vertical range.
        x_name: What the horizontal axis counts, with its unit.
        y_name: What the vertical axis counts, with its unit.
        log_x: Whether the horizontal axis is logarithmic.
        log_y: Whether the vertical axis is logarithmic.
        x_labels: Texts for horizontal ticks instead of numbers.
    """

    title: str
    width: int
    height: int
    x: tuple[float, float]
    y: tuple[float, float]
    x_name: str
    y_name: str
    log_x: bool = False
    log_y: bool = False
    x_labels: Sequence[tuple[float, str]] | None = None
    _drawn: list[str] = field(default_factory=list)
    _legend: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.across = Scale(*self.x, LEFT, self.width - RIGHT, self.log_x)
        self.up = Scale(*self.y, self.height - BOTTOM, TOP, self.log_y)

    def line(
        self, xs: Sequence[float], ys: Sequence[float], series: str, name: str = "", *, dots: bool = False
    ) -> None:
        """Join points; a value that is not finite breaks the line."""
        path, pen = [], "M"
        for x, y in zip(xs, ys, strict=True):
            if not math.isfinite(y):
                pen = "M"
                continue
            path.append(f"{pen}{self.across(x):.1f} {self.up(y):.1f}")
            pen = "L"
        self._drawn.append(f'<path class="line {series}" d="{"".join(path)}"/>')
        if dots:
            self.dots(xs, ys, series, [f"{number(x)}: {number(y)}" for x, y in zip(xs, ys, strict=True)])
        if name:
            self._legend.append((series, name))

    def dots(
        self, xs: Sequence[float], ys: Sequence[float], series: str, tips: Sequence[str], name: str = ""
    ) -> None:
        """Points with a text each for the pointer."""
        for x, y, tip in zip(xs, ys, tips, strict=True):
            if math.isfinite(y):
                self._drawn.append(
                    f'<circle class="dot {series}" cx="{self.across(x):.1f}" cy="{self.up(y):.1f}" r="4">'
                    f"<title>{escape(tip)}</title></circle>"
                )
        if name:
            self._legend.append((series, name))

    def whiskers(self, xs: Sequence[float], lows: Sequence[float], highs: Sequence[float], series: str) -> None:
        """Intervals as upright strokes; an end that is not finite reaches the edge."""
        for x, low, high in zip(xs, lows, highs, strict=True):
            if not math.isnan(low):
                bottom, top = max(low, self.y[0]), min(high, self.y[1])
                self._drawn.append(
                    f'<path class="whisker {series}" d="M{self.across(x):.1f} {self.up(bottom):.1f}'
                    f'V{self.up(top):.1f}"/>'
                )

    def bars(self, edges: Sequence[float], heights: Sequence[float], series: str, name: str = "") -> None:
        """Bars between neighbouring edges, standing on the axis."""
        for low, high, height in zip(edges, edges[1:], heights, strict=False):
            if height > 0:
                left, right, top = self.across(low), self.across(high), self.up(height)
                self._drawn.append(
                    f'<rect class="bar {series}" x="{left:.1f}" y="{top:.1f}"'
                    f' width="{max(0.8, right - left - 0.6):.1f}"'
                    f' height="{max(0.0, self.up.start - top):.1f}"/>'
                )
        if name:
            self._legend.append((series, name))

    def text(self, x: float, y: float, text: str) -> None:
        """A short label beside a point."""
        px, py = self.across(x), self.up(y)
        end = px + 7 + len(text) * _CHARACTER > self.width - 2
        self._drawn.append(
            f'<text class="mark" x="{px - 7 if end else px + 7:.1f}" y="{py - 7:.1f}"'
            f' text-anchor="{"end" if end else "start"}">{escape(text)}</text>'
        )

    def horizontal(self, y: float, text: str, series: str = "limit") -> None:
        """A line across at a value."""
        if not self.y[0] <= y <= self.y[1]:
            return
        py = self.up(y)
        self._drawn.append(
            f'<path class="rule {series}" d="M{LEFT} {py:.1f}H{self.width - RIGHT}"/>'
            f'<text class="mark" x="{self.width - RIGHT - 2}" y="{py - 4:.1f}" text-anchor="end">'
            f"{escape(text)}</text>"
        )

    def vertical(self, x: float, text: str, series: str = "limit", row: int = 0) -> None:
        """A line upwards at a value; `row` moves its text down so that neighbours do not collide."""
        if not self.x[0] <= x <= self.x[1]:
            return
        px = self.across(x)
        end = px + 4 + len(text) * _CHARACTER > self.width - 2
        self._drawn.append(
            f'<path class="rule {series}" d="M{px:.1f} {self.up.start:.1f}V{TOP}"/>'
            f'<text class="mark" x="{px - 4 if end else px + 4:.1f}" y="{TOP + 11 + row * _LINE}"'
            f' text-anchor="{"end" if end else "start"}">{escape(text)}</text>'
        )

    def svg(self) -> str:
        """The whole chart."""
        return (
            f'<svg viewBox="0 0 {self.width} {self.height}" width="{self.width}" height="{self.height}" role="img"'
            f' aria-label="{escape(self.title)}">{self._grid()}{"".join(self._drawn)}{self._names()}</svg>'
        )

    def _grid(self) -> str:
        parts = []
        bottom, right = self.height - BOTTOM, self.width - RIGHT
        for value in self.up.ticks(6):
            py = self.up(value)
            parts.append(f'<path class="grid" d="M{LEFT} {py:.1f}H{right}"/>')
            parts.append(f'<text x="{LEFT - 6}" y="{py + 4:.1f}" text-anchor="end">{number(value)}</text>')
        labels = self.x_labels or [(value, number(value)) for value in self.across.ticks(max(3, self.width // 90))]
        for value, label in labels:
            parts.append(
                f'<text x="{self.across(value):.1f}" y="{bottom + 16}" text-anchor="middle">{escape(label)}</text>'
            )
        parts.append(f'<path class="axis" d="M{LEFT} {bottom}H{right}"/>')
        return "".join(parts)

    def _names(self) -> str:
        parts = [
            (
                f'<text class="name" x="{self.width - RIGHT}" y="{self.height - 6}" text-anchor="end">'
                f"{escape(self.x_name)}</text>"
            ),
            f'<text class="name" x="2" y="14">{escape(self.y_name)}</text>',
        ]
        x = self.width - RIGHT - sum(22 + len(name) * _CHARACTER for _, name in self._legend)
        for series, name in self._legend:
            parts.append(f'<rect class="swatch {series}" x="{x:.1f}" y="5" width="11" height="11" rx="2"/>')
            parts.append(f'<text x="{x + 15:.1f}" y="14">{escape(name)}</text>')
            x += 22 + len(name) * _CHARACTER
        return "".join(parts)
