"""Reports: what they say, and how a browser shows them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.load import queueing
from tests.load.recordings import recorded, run_folder
from tests.support import browser as browsers

from visionserve.load import report
from visionserve.load.outcomes import Outcome
from visionserve.load.plan import Plan
from visionserve.load.sending import processes
from visionserve.load.series import capacity, sweep
from visionserve.load.series.search import Probe

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

    from visionserve.load.samples import Samples

KINDS = ("run", "failing", "search", "sweep", "comparison", "soak")


def queue(rate: float, seconds: float, service: float, seed: int = 1) -> Samples:
    """A recording of an M/D/1 server."""
    rng = np.random.default_rng(seed)
    samples = recorded(rate, seconds, gaps=rng)
    due = (samples["scheduled"] - samples["scheduled"][0]) / 1e9
    late = queueing.latencies(due, service, float("inf"), 0)
    samples["answered"] = samples["scheduled"] + (late * 1e9).astype(np.int64)
    samples["decode"], samples["inference"], samples["batch"] = 0.2, 1000 * service - 0.2, 1
    samples["picture"] = rng.integers(0, 2, len(samples))
    return samples


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One report of each kind."""
    root = tmp_path_factory.mktemp("reports")
    plan = Plan(rate=60, warm_up=0, duration=30)
    run_folder(root / "run", plan, queue(60, 30, 0.01))
    failing = queue(60, 30, 0.01)
    failing["outcome"][::7], failing["status"][::7] = Outcome.REJECTED, 503
    failing["type"][::7] = b"ServiceUnavailableException"
    failing["outcome"][::11] = Outcome.WRONG
    failing["cpu"] = failing["answered"]
    run_folder(root / "failing", plan, failing)
    run_folder(root / "before", plan, queue(60, 30, 0.012), "before")
    run_folder(root / "after", plan, queue(60, 30, 0.008), "after")

    probes = []
    for number, (rate, confirming) in enumerate([(30, False), (60, False), (75, True), (80, False), (110, False)]):
        name = f"{number + 1:02}-{'confirm' if confirming else 'probe'}-{rate:.1f}"
        run_folder(root / "search" / name, Plan(rate=rate, warm_up=0, duration=20), queue(rate, 20, 0.01))
        probes.append({**vars(Probe(rate, rate <= 75, confirming, "p99 was")), "folder": name})
    document = {"format": 1, "objective": "p99<100ms", "most_errors": 0.001, "rate": 75.0, "probes": probes}
    (root / "search" / capacity.FILE).write_text(json.dumps(document))

    points = sweep.points({"batchSize": [1, 8]}, [Plan(users=count, warm_up=0, duration=10) for count in (1, 8)])
    documents = [{"settings": dict(point.settings), "plan": vars(point.plan)} for point in points]
    for number, (rate, latency) in enumerate([(20, 40), (30, 200), (25, 60)]):
        run_folder(root / "sweep" / f"point-{number + 1:03}", points[number].plan, recorded(rate, 10, latency))
    failures = {"3": "minWorkers is 0: a served model needs at least 1"}
    (root / "sweep" / sweep.FILE).write_text(json.dumps({"format": 1, "points": documents, "failures": failures}))

    soaked = queue(60, 120, 0.01)
    run_folder(root / "soak", Plan(rate=60, warm_up=0, duration=120), soaked, purpose="soak")
    start = soaked["scheduled"][0] / 1e9
    rows = [f"{start + second},server,{4e8 + second * 1e6:.0f},60,{second}" for second in range(120)]
    (root / "soak" / processes.FILE).write_text("\n".join(["time,process,memory,handles,cpu", *rows]))

    written = {kind: report.write([root / kind], root / kind, 100) for kind in KINDS if kind != "comparison"}
    written["comparison"] = report.write([root / "before", root / "after"], root / "comparison", 100)
    return written


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.with_suffix(".json").read_text())
    return document


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (
            "run",
            r"m gave 5\d\.\d right answers/s .*; 99 % of answers came within \d+ ms, and every answer was right",
        ),
        ("failing", r"This run is invalid"),
        ("search", r"This machine takes 75\.0 requests/s at p99 < 100 ms, confirmed in a run of 20 s\."),
        (
            "sweep",
            r"Point 2 has the highest throughput, 29\.5 .* p99 of 200 ms, point 1 the lowest p99, 40 ms; 3 of 3",
        ),
        ("comparison", r"after has 1\.0\d times the throughput \(within the noise\) and 0\.\d\d times the p99"),
        ("soak", r"Server memory grew in 2 min at 60 requests/s\."),
    ],
)
def test_every_form_begins_with_one_sentence_of_what_was_found(
    kind: str, said: str, reports: dict[str, Path]
) -> None:
    document = read(reports[kind])
    assert re.match(said, document["sentence"])
    assert reports[kind].with_suffix(".md").read_text().startswith(f"# {document['sentence']}")
    html = reports[kind].read_text()
    assert re.search(r"<h1>(.*?)</h1>", html).group(1).replace("&lt;", "<") == document["sentence"]  # type: ignore[union-attr]


def test_a_comparison_knows_noise_from_difference(reports: dict[str, Path]) -> None:
    rows = {row["metric"]: row for row in read(reports["comparison"])["comparison"]["rows"]}
    assert not rows["throughput"]["beyond_noise"]
    assert rows["p50"]["beyond_noise"]
    assert rows["p50"]["ratio"]["high"] < 1


def test_an_invalid_run_says_why(reports: dict[str, Path]) -> None:
    document = read(reports["failing"])
    assert not document["valid"]
    (reason,) = document["runs"][0]["objections"]
    assert reason in reports["failing"].read_text()
    assert {row["type"] for row in document["runs"][0]["answers"]} == {"", "ServiceUnavailableException"}


def test_a_search_shows_every_rate_and_plans_machines(reports: dict[str, Path]) -> None:
    (found,) = read(reports["search"])["searches"]
    assert [row["rate"] for row in found["rows"]] == [30, 60, 75, 80, 110]
    # 1000 / (75 * 0.7) = 19.05
    assert {row["need"]: row["machines"] for row in found["plan"]["machines"]}[1000] == 21
    assert 30 <= found["knee"] <= 80


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_it_whole_quietly_and_offline(
    kind: str, width: int, scheme: Any, reports: dict[str, Path], browser: Browser
) -> None:
    shown = browsers.look(browser, reports[kind], width, scheme)
    assert shown >= {"sweep": 1}.get(kind, 2)


def test_it_prints_on_paper_in_dark_ink(reports: dict[str, Path], browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page(color_scheme="dark")
    page.goto(reports["search"].as_uri())
    page.emulate_media(media="print")
    ink, paper = page.evaluate("(s => [s.color, s.backgroundColor])(getComputedStyle(document.body))")
    assert browsers.brightness(ink) < browsers.brightness(paper)
    page.pdf(path=tmp_path / "report.pdf", format="A4")
    assert (tmp_path / "report.pdf").stat().st_size > 10_000
    page.close()
