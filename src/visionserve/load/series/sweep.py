"""Many runs over settings of the server and of the traffic, kept so that an interrupted sweep goes on.

A sweep's folder holds `sweep.json` and one run's folder for each point.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from visionserve.load import runs
from visionserve.load.errors import LoadError
from visionserve.load.plan import Plan
from visionserve.runtime.errors import VisionserveError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from visionserve.load.runs import Run
    from visionserve.load.sending.generator import Session

FILE = "sweep.json"
_FORMAT = 1


@dataclass(frozen=True)
class Point:
    """One point of a sweep.

    Attributes:
        settings: The server's settings at it, by their names in the model's YAML.
        plan: The traffic.
    """

    settings: Mapping[str, Any]
    plan: Plan

    @property
    def name(self) -> str:
        """What tells it from the others."""
        return ", ".join([*(f"{key} {value}" for key, value in self.settings.items()), str(self.plan)])


def points(settings: Mapping[str, Sequence[Any]], plans: Sequence[Plan]) -> list[Point]:
    """Every combination; those that share a server's settings are neighbours, so each is served once."""
    return [
        Point(dict(zip(settings, values, strict=True)), plan)
        for values in itertools.product(*settings.values())
        for plan in plans
    ]


def run(
    folder: Path,
    wanted: Sequence[Point],
    serve: Callable[[Mapping[str, Any]], AbstractContextManager[Session]],
    tell: Callable[[int, Point, str | None], None] = lambda _number, _point, _failure: None,
) -> None:
    """Run every point that has not been run yet.

    Args:
        folder: The sweep's own; one that holds an interrupted sweep of the same points is gone on with.
        wanted: The points.
        serve: Opens a session with a server that has these settings and is ready.
        tell: Called after each point with its number, and the reason if it could not be run.

    Raises:
        LoadError: The folder holds another sweep.
    """
    failures = _begin(folder, wanted)
    numbered = list(enumerate(wanted))
    for settings, group in itertools.groupby(numbered, key=lambda item: item[1].settings):
        members = list(group)
        missing = [(number, point) for number, point in members if not _is_done(folder, number)]
        for number, point in members:
            if (number, point) not in missing:
                tell(number, point, None)
        if not missing:
            continue
        left = list(missing)
        try:
            with serve(settings) as session:
                while left:
                    number, point = left[0]
                    session.run(point.plan, folder / _folder(number), label=point.name)
                    failures.pop(str(number), None)
                    _write(folder, wanted, failures)
                    tell(number, point, None)
                    left.pop(0)
        except VisionserveError as error:
            for number, point in left:
                failures[str(number)] = str(error)
                tell(number, point, str(error))
            _write(folder, wanted, failures)


@dataclass(frozen=True)
class Swept:
    """A sweep as read from its folder.

    Attributes:
        folder: Its folder.
        points: All of them.
        runs: The run of each point; None where it failed or has not been run.
        failures: Why a point could not be run, by its number.
    """

    folder: Path
    points: tuple[Point, ...]
    runs: tuple[Run | None, ...]
    failures: Mapping[int, str]


def read(folder: Path) -> Swept:
    """Read a sweep, finished or not.

    Raises:
        LoadError: There is none.
    """
    try:
        document = json.loads((folder / FILE).read_text(encoding="utf-8"))
        found = tuple(Point(entry["settings"], Plan(**entry["plan"])) for entry in document["points"])
        failures = {int(number): text for number, text in document["failures"].items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LoadError(f"{folder / FILE} is no sweep: {' '.join(str(error).split())}") from error
    done = tuple(
        runs.read(folder / _folder(number)) if _is_done(folder, number) else None for number in range(len(found))
    )
    return Swept(folder, found, done, failures)


def pareto(pairs: Sequence[tuple[float, float]]) -> list[int]:
    """The indices of (throughput, latency) pairs that no other beats in both, by growing throughput."""
    best, front = float("inf"), []
    for index in sorted(range(len(pairs)), key=lambda i: (-pairs[i][0], pairs[i][1])):
        if pairs[index][1] < best:
            best = pairs[index][1]
            front.append(index)
    return front[::-1]


def _begin(folder: Path, wanted: Sequence[Point]) -> dict[str, str]:
    """Write the sweep's file, or find the same sweep there; failed points are tried again."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / FILE).exists() and read(folder).points != tuple(wanted):
        raise LoadError(
            f"{folder} holds another sweep; choose another folder, or give the same axes to go on with it"
        )
    _write(folder, wanted, {})
    return {}


def _write(folder: Path, wanted: Sequence[Point], failures: Mapping[str, str]) -> None:
    document = {
        "format": _FORMAT,
        "points": [{"settings": dict(point.settings), "plan": asdict(point.plan)} for point in wanted],
        "failures": dict(failures),
    }
    part = folder / f".{FILE}"
    part.write_text(json.dumps(document, indent=1), encoding="utf-8")
    part.replace(folder / FILE)


def _is_done(folder: Path, number: int) -> bool:
    try:
        return runs.read(folder / _folder(number)).finished
    except LoadError:
        return False


def _folder(number: int) -> str:
    return f"point-{number + 1:03}"
