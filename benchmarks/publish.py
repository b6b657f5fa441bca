"""A run's files beside its JSON, and what the documentation shows of the newest of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import chart, tables
from benchmarks.markers import Markers
from benchmarks.results import Results

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "benchmarks/results"
MARKERS = Markers("benchmark", "make benchmark")


def beside(path: Path) -> list[Path]:
    """Write a run's Markdown and charts beside its JSON file.

    Returns:
        What was written.
    """
    results = Results.read(path)
    charts = {name: path.with_name(f"{path.stem}-{name}.svg") for name in chart.THEMES}
    for name, target in charts.items():
        chart.draw(results, chart.THEMES[name], target)
    report = path.with_suffix(".md")
    report.write_text(tables.report(results, _picture(path.stem, "")), encoding="utf-8")
    return [report, *charts.values()]


def newest(root: Path) -> Path | None:
    """The newest full run's JSON file; quick ones do not count."""
    found = [path for path in (root / FOLDER).glob("*.json") if not Results.read(path).about["quick"]]
    return max(found, key=lambda path: str(Results.read(path).about["time"]), default=None)


def pages(root: Path) -> list[Path]:
    """Put the newest full run into the documentation, between each page's markers.

    The README gets a few rows, docs/performance.md all of them.

    Returns:
        The pages that have such a place, if there is such a run.
    """
    path = newest(root)
    if path is None:
        return []
    results = Results.read(path)
    sections = {root / "README.md": _brief(results), root / "docs" / "performance.md": _whole(results, path)}
    return [page for page, section in sections.items() if MARKERS.put(page, section)]


def _brief(results: Results) -> str:
    return f"{tables.brief(results)}\n\n{tables.setting(results)}"


def _whole(results: Results, path: Path) -> str:
    models = dict.fromkeys(load.model for load in results.workloads())
    folder = f"../{FOLDER}"
    parts = [
        _picture(path.stem, f"{folder}/"),
        "Requests a second:",
        *(tables.summary(results, model) for model in models),
        *filter(None, [tables.leniency(results)]),
        f"{tables.setting(results)} [All of it]({folder}/{path.stem}.md), [raw]({folder}/{path.name}).",
        "`make benchmark` measures all of it again on your machine.",
    ]
    return "\n\n".join(parts)


def _picture(stem: str, folder: str) -> str:
    return (
        "<picture>\n"
        f'  <source media="(prefers-color-scheme: dark)" srcset="{folder}{stem}-dark.svg">\n'
        f'  <img alt="Requests a second of every contender" src="{folder}{stem}-light.svg">\n'
        "</picture>"
    )
