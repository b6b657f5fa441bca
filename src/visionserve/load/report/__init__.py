"""Reports: one HTML file that works offline, and the same as Markdown and JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from visionserve.load import runs
from visionserve.load.errors import LoadError
from visionserve.load.judging import soak
from visionserve.load.report import facts, figures, timelines
from visionserve.load.series import capacity, sweep
from visionserve.report import pages

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from visionserve.load.runs import Run


def write(results: Sequence[Path], folder: Path, bound: float | None = None) -> Path:
    """Judge results and write `report.html`, `report.md` and `report.json`; returns the first.

    Args:
        results: Folders of runs, searches and sweeps. Two or more runs, or the confirmed runs of searches, are
            compared with the first.
        folder: Where the report goes.
        bound: The latency in ms within which an answer counts as goodput.

    Raises:
        LoadError: A folder holds no results, or damaged ones.
    """
    document, charts = _collect(results, bound)
    environment = pages.templates(__name__)
    folder.mkdir(parents=True, exist_ok=True)
    started = document["header"] and document["header"]["started"]
    for name in ("report.html", "report.md"):
        text = environment.get_template(f"{name}.j2").render(
            **document, charts=charts, kind="Load test", started=started
        )
        (folder / name).write_text(text, encoding="utf-8")
    pages.write_json(document, folder / "report.json")
    return folder / "report.html"


def _collect(results: Sequence[Path], bound: float | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The facts of results and the charts that go with them."""
    document: dict[str, Any] = {"searches": [], "sweeps": [], "runs": [], "comparison": None, "soak": None}
    charts: dict[str, Any] = {"saturation": [], "front": [], "timeline": [], "distribution": "", "drift": []}
    shown: list[Run] = []
    for path in results:
        if (path / capacity.FILE).exists():
            searched = capacity.read(path)
            bound = bound if bound is not None else searched.objective.limit
            found = facts.of_search(searched)
            document["searches"].append({"name": path.name, **found})
            charts["saturation"].append(figures.saturation(found["rows"], found["bound"], found["knee"]))
            shown += [searched.confirmed or searched.runs[-1]] if searched.runs else []
        elif (path / sweep.FILE).exists():
            swept = sweep.read(path)
            table = facts.of_sweep(swept, bound)
            document["sweeps"].append({"name": path.name, **table})
            done = [row for row in table["rows"] if "failure" not in row]
            numbers = [row["number"] for row in done]
            charts["front"].append(figures.front(done, [numbers.index(n) for n in table["best"]]))
            document.setdefault("header", next((run.header for run in swept.runs if run), None))
        elif (path / runs.HEADER).exists():
            shown.append(runs.read(path))
        else:
            names = ", ".join((runs.HEADER, capacity.FILE, sweep.FILE))
            raise LoadError(f"no results in {path}: none of {names} is there")
    document["runs"] = [facts.of_run(run, bound) for run in shown]
    if shown:
        document["header"] = shown[0].header
        charts["distribution"] = figures.distribution(shown, bound)
        charts["timeline"] = [timelines.timeline(run) for run in shown]
    if len(shown) > 1:
        document["comparison"] = facts.of_comparison(shown, bound)
    if len(shown) == 1 and shown[0].header.get("purpose") == "soak":
        document["soak"] = facts.of_soak(shown[0])
        charts["drift"] = [timelines.drift(found) for found in soak.drifts(shown[0])]
    document.setdefault("header", None)
    document["sentence"] = _sentence(document)
    document["valid"] = all(run["valid"] for run in document["runs"])
    return document, charts


def _sentence(document: dict[str, Any]) -> str:
    """What the results show, the most telling part first."""
    for part in (
        document["comparison"],
        document["soak"],
        *document["searches"],
        *document["sweeps"],
        *document["runs"],
    ):
        if part is not None:
            return str(part["sentence"])
    return "There are no results."
