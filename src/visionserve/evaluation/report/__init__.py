"""An evaluation's report: one HTML file that works offline, and the same as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from visionserve.evaluation.report import curves, document, matrix, thumbnails
from visionserve.report import pages
from visionserve.report.widths import NARROW, WIDE

if TYPE_CHECKING:
    from pathlib import Path

    from visionserve.evaluation.running.trial import Trial

_PAIRS = 10
_OF_A_PAIR = 5  # pictures
_DIFFERENCES = 12
# Classes in the table and in the matrix of either width, and pictures without an answer of each kind.
_MOST = {"classes": 30, "wide": matrix.MOST[WIDE], "narrow": matrix.MOST[NARROW], "refused": 5}


def write(made: Trial, folder: Path) -> Path:
    """Write `report.html` and `report.json`; returns the first.

    The page shows the worst of everything, so that it stays a page for a thousand classes; the JSON has it all.
    """
    data = document.write(made)
    found = made.findings
    folder.mkdir(parents=True, exist_ok=True)
    pages.write_json(data, folder / "report.json")
    page = pages.templates(__name__).get_template("evaluation.html.j2")
    text = page.render(
        **data,
        kind="Evaluation",
        matrix=matrix.draw(found.confusion, found.answers.labels),
        reliability=curves.reliability(found.reliability),
        times=curves.latency(found.answers.milliseconds),
        pairs=_pairs(made),
        disagreeing=_disagreeing(made, data["against"]),
        most=_MOST,
    )
    # A file's name may be no text; report.json escapes it likewise.
    (folder / "report.html").write_text(text, encoding="utf-8", errors="backslashreplace")
    return folder / "report.html"


def _pairs(made: Trial) -> list[dict[str, Any]]:
    """The worst-confused pairs, each with its pictures."""
    answers = made.findings.answers
    return [
        {
            "class": answers.labels[pair.target],
            "answer": answers.labels[pair.answer],
            "share": pair.share.to_json(),
            "shots": [
                {
                    "source": thumbnails.of(answers.pictures[position].path),
                    "file": made.name(answers.pictures[position].path),
                    "said": f"{answers.confidence[position]:.2f}",
                }
                for position in pair.pictures[:_OF_A_PAIR]
            ],
        }
        for pair in made.findings.confusion.pairs(answers, _PAIRS)
    ]


def _disagreeing(made: Trial, against: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The first pictures that two models answer differently."""
    found = made.findings.comparison
    if found is None or against is None:
        return []
    pictures = made.findings.answers.pictures
    return [
        {**told, "source": thumbnails.of(pictures[one.ours].path)}
        for told, one in zip(against["differences"][:_DIFFERENCES], found.differences, strict=False)
    ]
