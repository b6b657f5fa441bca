"""A run's files beside its JSON, and the README's section from the newest of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import chart, tables
from benchmarks.results import Results

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "benchmarks/results"
BEGIN = "<!-- benchmark: written by `make benchmark`, do not edit -->"
END = "<!-- benchmark: end -->"


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


def readme(root: Path) -> bool:
    """Put the newest full run into the README, between the section's markers.

    Returns:
        Whether there is such a run, and a place for it.
    """
    path, page = newest(root), root / "README.md"
    text = page.read_text(encoding="utf-8")
    if path is None or BEGIN not in text or END not in text:
        return False
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(before + BEGIN + "\n" + _section(path) + "\n" + END + after, encoding="utf-8")
    return True


def _section(path: Path) -> str:
    results = Results.read(path)
    models = dict.fromkeys(load.model for load in results.workloads())
    parts = [
        _picture(path.stem, f"{FOLDER}/"),
        "Requests a second:",
        *(tables.summary(results, model) for model in models),
        *filter(None, [tables.leniency(results)]),
        f"{tables.setting(results)} [All of it]({FOLDER}/{path.stem}.md), [raw]({FOLDER}/{path.name}).",
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
