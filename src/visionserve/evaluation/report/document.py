"""An evaluation as plain data: the one source of the page and of the JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from visionserve.evaluation.answers import Refusal
from visionserve.evaluation.judging import reliability

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from visionserve.evaluation.answers import Answers
    from visionserve.evaluation.judging.comparison import Comparison
    from visionserve.evaluation.running.asking import Given
    from visionserve.evaluation.running.trial import Trial


def write(made: Trial) -> dict[str, Any]:
    """All of it."""
    found = made.findings
    answers, labels = found.answers, found.answers.labels
    return {
        "sentence": found.sentence,
        "model": answers.model,
        "source": str(made.source),
        "url": made.served.inference,
        "started": f"{made.started:%Y-%m-%d %H:%M:%S}",
        "clients": made.clients,
        "notes": list(made.notes),
        "mistakes": list(found.mistakes),
        "top1": found.top1.to_json(),
        "top5": found.top5 and found.top5.to_json(),
        "classes": [
            {
                "class": labels[one.target],
                "right": one.right.to_json(),
                "takenFor": None if one.taken_for is None else labels[one.taken_for],
            }
            for one in found.confusion.of_classes()
        ],
        "confusion": [
            {"class": labels[target], "answer": labels[answer], "count": count}
            for (target, answer), count in found.confusion.cells.items()
        ],
        "calibration": _calibration(found.reliability),
        "against": found.comparison and _comparison(found.comparison, made),
        "latency": dict(found.latency),
        "slowest": [_slow(one, made) for one in made.alone],
        "refused": _refused(answers, made),
        "pictures": _pictures(made),
        "server": dict(made.server),
    }


def _calibration(found: reliability.Reliability) -> dict[str, Any]:
    return {
        "definition": reliability.DEFINITION,
        "ece": found.ece,
        "chance": found.chance,
        "meanProbability": found.confidence,
        "accuracy": found.accuracy,
        "verdict": found.verdict,
        "bins": [
            {"low": one.low, "high": one.high, "meanProbability": one.confidence, "right": one.right.to_json()}
            for one in found.bins
        ],
    }


def _comparison(found: Comparison, made: Trial) -> dict[str, Any]:
    answers, other = made.findings.answers, found.other
    return {
        "model": other.model,
        "same": found.same.to_json(),
        "largestDifference": found.moved,
        "ours": found.ours.to_json(),
        "theirs": found.theirs.to_json(),
        "bothRight": found.both,
        "onlyOursRight": found.only_ours,
        "onlyTheirsRight": found.only_theirs,
        "neitherRight": found.neither,
        "pValue": found.p_value,
        "beyondChance": found.beyond_chance,
        "verdict": found.verdict,
        "refused": _refused(other, made),
        "differences": [
            {
                "file": made.name(answers.pictures[one.ours].path),
                "class": answers.labels[answers.targets[one.ours]],
                "ours": _answer(answers.labels, answers.top[one.ours], answers.confidence[one.ours]),
                "theirs": _answer(other.labels, other.top[one.theirs], other.confidence[one.theirs]),
            }
            for one in found.differences
        ],
        "server": dict(made.other),
    }


def _answer(labels: Sequence[str], index: int, probability: float) -> dict[str, Any]:
    return {"answer": labels[index], "probability": float(probability)}


def _slow(one: Given | Refusal, made: Trial) -> dict[str, Any]:
    refusal = one if isinstance(one, Refusal) else None
    return {
        "file": made.name(one.picture.path),
        "milliseconds": one.milliseconds,
        "stages": {} if isinstance(one, Refusal) else one.stages,
        "kilobytes": _kilobytes(one.picture.path),
        "refused": refusal and f"{refusal.status or 'no status'} {refusal.type}",
    }


def _kilobytes(path: Path) -> float | None:
    try:
        return path.stat().st_size / 1000
    except OSError:
        return None


def _refused(answers: Answers, made: Trial) -> list[dict[str, Any]]:
    """The pictures without an answer by status and type, the most frequent first."""
    return [
        {
            "status": status or None,
            "type": kind,
            "count": count,
            "pictures": [
                {"file": made.name(one.picture.path), "message": one.message}
                for one in answers.refused
                if (one.status, one.type) == (status, kind)
            ],
        }
        for (status, kind), count in answers.refusals().most_common()
    ]


def _pictures(made: Trial) -> list[dict[str, Any]]:
    answers = made.findings.answers
    return [
        {
            "file": made.name(picture.path),
            "class": answers.labels[picture.target],
            **_answer(answers.labels, answers.top[position], answers.confidence[position]),
            "ofClass": float(answers.probabilities[position, picture.target]),
            "milliseconds": float(answers.milliseconds[position]),
        }
        for position, picture in enumerate(answers.pictures)
    ]
