"""A run as a picture: requests a second of every contender, side by side, one panel per number of clients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks import plan

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.results import Results

_PICTURES = "500x375"
_BAR = 0.68
_ROW = 0.30  # inches
_PANEL = 3.1  # inches


@dataclass(frozen=True)
class Theme:
    """Colours for one kind of page; the page's own colour shows through."""

    ink: str
    faint: str
    peer: str
    ours: str
    limit: str


# GitHub's own text and border colours, and bars that keep 3:1 contrast with its page.
THEMES = {
    "light": Theme(ink="#1f2328", faint="#d1d9e0", peer="#8c959f", ours="#0969da", limit="#9a6700"),
    "dark": Theme(ink="#f0f6fc", faint="#3d444d", peer="#848d97", ours="#4493f8", limit="#d29922"),
}


def draw(results: Results, theme: Theme, path: Path) -> None:
    """Draw ResNet-50's rates to an SVG file.

    Raises:
        ValueError: The run measured no workload that is drawn.
    """
    loads = [load for load in results.workloads() if (load.model, load.pictures) == (plan.RESNET50, _PICTURES)]
    if not loads:
        raise ValueError(f"the run has no {_PICTURES} workload of {plan.RESNET50}")
    entries = [entry for entry in results.entries if entry.model == plan.RESNET50 and not entry.not_run]
    # Text stays text, and the same run gives the same bytes.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "visionserve", "font.family": "sans-serif"}):
        figure = Figure(figsize=(2.3 + _PANEL * len(loads), 0.9 + _ROW * len(entries)), layout="constrained")
        panels: Any = figure.subplots(1, len(loads), sharey=True, squeeze=False)[0]
        for panel, load in zip(panels, loads, strict=True):
            for row, entry in enumerate(entries):
                rate = results.rate(entry.name, load)
                if rate is None:
                    continue
                panel.barh(row, rate.median, height=_BAR, color=_colour(entry.name, theme))
                panel.plot([rate.low, rate.high], [row, row], color=theme.ink, linewidth=1)
                panel.annotate(
                    f"{rate.median:.0f}",
                    (rate.high, row),
                    xytext=(4, 0),
                    textcoords="offset points",
                    va="center",
                    color=theme.ink,
                    fontsize=9,
                )
            panel.set_title(_title(load.clients), color=theme.ink, fontsize=10, loc="left")
            panel.set_yticks(range(len(entries)), [entry.title for entry in entries], color=theme.ink, fontsize=9)
            panel.tick_params(axis="both", length=0, colors=theme.ink, labelsize=9)
            panel.grid(axis="x", color=theme.faint, linewidth=0.6)
            panel.set_axisbelow(True)
            panel.margins(x=0.18)
            panel.set_xlim(left=0)
            panel.spines[:].set_visible(False)
        panels[0].invert_yaxis()
        figure.supxlabel(
            "ResNet-50, 500x375 photographs: requests a second (engine alone: pictures a second); line: lowest to"
            " highest round",
            color=theme.ink,
            fontsize=9,
        )
        figure.savefig(path, format="svg", transparent=True, metadata={"Date": None})


def _title(clients: int) -> str:
    return f"{clients} client{'s' if clients > 1 else ''}"


def _colour(name: str, theme: Theme) -> str:
    if name in plan.ENGINES.values():
        return theme.limit
    return theme.ours if name in plan.OURS.values() else theme.peer
