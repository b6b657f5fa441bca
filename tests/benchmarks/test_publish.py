"""A run's Markdown and charts, and the README's section."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from tests.benchmarks.runs import make_results

from benchmarks import plan, tables
from benchmarks.results import Agreement, Entry, Workload

pytest.importorskip("matplotlib", reason="the benchmark group is not installed")
from benchmarks import publish

if TYPE_CHECKING:
    from pathlib import Path

README = f"# project\n\nbefore\n\n{publish.MARKERS.begin}\nold\n{publish.MARKERS.end}\n\nafter\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "README.md").write_text(README)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "performance.md").write_text(README)
    make_results().write(tmp_path / publish.FOLDER / "2026-01-02-a-cpu-2-cores.json")
    return tmp_path


def test_a_table_has_a_row_for_every_contender_measured_or_not() -> None:
    lines = tables.summary(make_results()).splitlines()
    assert lines[0] == "| ResNet-50 | 500x375, 1 client | 500x375, 32 clients | p50 at 1 client |"
    assert f"| title of {plan.STOCK} | 20.0 | 20.0 | 50.0 ms |" in lines
    assert "| visionserve, int8 | not run | not run |  |" in lines


def test_the_report_says_why_something_was_not_run_and_which_targets_were_missed() -> None:
    report = tables.report(make_results(), "chart")
    assert "- visionserve, int8: not run: no calibration | pictures" in report
    assert re.search(
        r"over stock with 1 worker, 32 clients, auto \| >= 4.7x \| 5.00x \(4.50 to 5.00\) \| reached \| 5.50x",
        report,
    )
    assert re.search(r"torch fp32, auto \| >= 99.5 % \| 99.38 % \(99.20 to 100.00\) \| missed", report)
    assert "| ResNet-50, auto | photographs | 496 of 500 |" in report
    assert "| VGG-16, auto | photographs | 250 of 500 |" in report
    assert "Failed" not in report


def test_what_was_built_with_less_agreement_than_usual_is_named_with_its_own() -> None:
    results = make_results()
    assert tables.leniency(results) == ""
    results.entries.append(
        Entry(plan.VGG16, plan.OURS["int8"], "visionserve, int8", "what", {"minAgreement": 0.9})
    )
    results.agreements.append(Agreement(plan.VGG16, "int8", "photographs", 200, 187))
    said = tables.leniency(results)
    assert "VGG-16, visionserve, int8: built with `minAgreement: 0.9`, for 0.99 refuses it" in said
    assert "187 of 200 (photographs)" in said
    assert "ResNet-50" not in said


def test_the_report_shows_wrong_answers_first() -> None:
    results = make_results()
    results.of(plan.STOCK, Workload(plan.RESNET50, "500x375", 1))[0].wrong = 1
    report = tables.report(results, "chart")
    assert report.index("## Failed: wrong answers or errors") < report.index("requests a second")


def test_charts_hold_every_measured_contender_and_are_the_same_each_time(root: Path) -> None:
    path = next((root / publish.FOLDER).glob("*.json"))
    report, *charts = publish.beside(path)
    first = [chart.read_bytes() for chart in charts]
    publish.beside(path)
    assert [chart.read_bytes() for chart in charts] == first
    texts = [element.text for element in ElementTree.fromstring(first[0]).iter() if element.text]
    assert {"1 client", "32 clients", "100", f"title of {plan.OURS['auto']}"} <= {text.strip() for text in texts}
    assert "visionserve, int8" not in texts
    assert all(chart.name in report.read_text() for chart in charts)


def test_pages_get_the_newest_full_run_between_their_markers(root: Path) -> None:
    newer = make_results()
    newer.about |= {"time": "2026-02-02T00:00:00+00:00", "date": "2026-02-02"}
    newer.write(root / publish.FOLDER / "2026-02-02-a-cpu-2-cores.json")
    quick = make_results()
    quick.about |= {"time": "2026-03-03T00:00:00+00:00", "quick": True}
    quick.write(root / publish.FOLDER / "2026-03-03-a-cpu-2-cores-quick.json")
    pages = [root / "README.md", root / "docs" / "performance.md"]
    assert publish.pages(root) == pages
    texts = [page.read_text() for page in pages]
    for text in texts:
        assert text.startswith("# project\n\nbefore\n\n")
        assert text.endswith("\n\nafter\n")
        assert "2026-02-02" in text
        assert "old" not in text
    assert "2026-02-02-a-cpu-2-cores-dark.svg" in texts[1]
    assert publish.pages(root) == pages
    assert [page.read_text() for page in pages] == texts


def test_the_readme_gets_few_rows_and_the_page_all(root: Path) -> None:
    publish.pages(root)
    brief, whole = (root / name for name in ("README.md", "docs/performance.md"))
    assert f"| title of {plan.STOCK} | 20.0 | 20.0 | 50.0 ms |" in brief.read_text()
    assert plan.STOCK_DEFAULT not in brief.read_text()
    assert whole.read_text().count("| title of ") > brief.read_text().count("| title of ")


def test_a_page_without_a_place_for_it_stays_as_it_is(root: Path) -> None:
    (root / "README.md").write_text("# no markers\n")
    assert publish.pages(root) == [root / "docs" / "performance.md"]
    assert (root / "README.md").read_text() == "# no markers\n"
