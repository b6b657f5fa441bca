"""What was measured, raw, and the arithmetic on it: medians, and ratios round by round."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Workload:
    """One load on one model.

    Attributes:
        model: The demo model.
        pictures: The kind of picture, as in `500x375`.
        clients: How many ask at once.
    """

    model: str
    pictures: str
    clients: int


@dataclass
class Round:
    """One contender under one workload, once.

    Attributes:
        model: See `Workload`.
        pictures: See `Workload`.
        clients: See `Workload`.
        contender: Its name.
        round: Counted from 0; contenders take turns within a round.
        rate: Right answers a second; for an engine alone, pictures a second.
        answers: Right answers in the window.
        seconds: The window's length.
        p50: Milliseconds from the first byte sent to the last byte received.
        p90: The same, 90th percentile.
        p99: The same, 99th percentile.
        checked: Answers whose label was compared with the right one, before and after the window too.
        wrong: Those with another label on top.
        errors: All else that was no answer, by status or cause.
        examples: The first wrong answers and errors.
        server_cpu: Cores that the contender's processes kept busy, as a number of cores.
        generator_cpu: Cores that the load generator kept busy.
        other_cpu: Cores that everything else on the machine kept busy.
    """

    model: str
    pictures: str
    clients: int
    contender: str
    round: int
    rate: float = 0.0
    answers: int = 0
    seconds: float = 0.0
    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    checked: int = 0
    wrong: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)
    server_cpu: float = 0.0
    generator_cpu: float = 0.0
    other_cpu: float = 0.0

    @property
    def workload(self) -> Workload:
        """The load."""
        return Workload(self.model, self.pictures, self.clients)

    @property
    def faults(self) -> int:
        """Wrong answers and errors."""
        return self.wrong + sum(self.errors.values())


@dataclass
class Entry:
    """One contender of one model.

    Attributes:
        model: The demo model.
        name: Its name.
        title: What a reader calls it.
        what: What it is exactly.
        settings: All that is not the software's own default.
        not_run: Why it was not measured; empty when it was.
        ready: Seconds from its start to its first answer, one value per start.
        workers: MB of each of its processes that has torch loaded, after the rounds: `rss`, `pss`, `uss`.
        idle_cpu: Cores that it keeps busy when nobody asks.
    """

    model: str
    name: str
    title: str
    what: str
    settings: dict[str, object]
    not_run: str = ""
    ready: list[float] = field(default_factory=list)
    workers: list[dict[str, float]] = field(default_factory=list)
    idle_cpu: float = 0.0


@dataclass
class Agreement:
    """How often a variant's top label is torch fp32's.

    Attributes:
        model: The demo model.
        variant: Ours.
        pictures: The set, in words.
        count: How many pictures.
        agreed: On how many both say the same.
    """

    model: str
    variant: str
    pictures: str
    count: int
    agreed: int


@dataclass
class InProcess:
    """From a picture's bytes to its logits in process, one picture at a time, in milliseconds (median)."""

    model: str
    pictures: str
    variant: str
    round: int
    milliseconds: float


@dataclass
class Ceiling:
    """What the load generator can do against a server that does nothing."""

    pictures: str
    clients: int
    rate: float
    cpu_ms_per_request: float


@dataclass
class Results:
    """One run of the benchmark; `about` names the date, command, commit, hardware, versions and plan."""

    about: dict[str, Any]
    entries: list[Entry] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)
    in_process: list[InProcess] = field(default_factory=list)
    agreements: list[Agreement] = field(default_factory=list)
    ceilings: list[Ceiling] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write all of it as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(_rounded(asdict(self)), indent=1) + "\n", encoding="utf-8")
        part.replace(path)

    @classmethod
    def read(cls, path: Path) -> Results:
        """Read what `write` wrote."""
        document = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            document["about"],
            [Entry(**entry) for entry in document["entries"]],
            [Round(**one) for one in document["rounds"]],
            [InProcess(**one) for one in document["in_process"]],
            [Agreement(**one) for one in document["agreements"]],
            [Ceiling(**one) for one in document["ceilings"]],
        )

    def workloads(self) -> list[Workload]:
        """Every workload that was run, in order."""
        return list(dict.fromkeys(one.workload for one in self.rounds))

    def of(self, contender: str, workload: Workload) -> list[Round]:
        """A contender's rounds under a workload, in order."""
        return [one for one in self.rounds if one.contender == contender and one.workload == workload]

    def entry(self, contender: str, model: str) -> Entry | None:
        """A contender of a model, measured or not."""
        return next((one for one in self.entries if (one.name, one.model) == (contender, model)), None)

    def rate(self, contender: str, workload: Workload) -> Spread | None:
        """Answers a second."""
        return spread([one.rate for one in self.of(contender, workload)])

    def p50(self, contender: str, workload: Workload) -> Spread | None:
        """The median latency in milliseconds, of each round."""
        return spread([one.p50 for one in self.of(contender, workload) if one.p50])

    def ratio(self, over: str, under: str, workload: Workload) -> Spread | None:
        """One contender's rate over another's, in the same round."""
        return self.paired(over, under, workload, lambda one, other: one.rate / other.rate if other.rate else None)

    def paired(
        self, first: str, second: str, workload: Workload, combine: Callable[[Round, Round], float | None]
    ) -> Spread | None:
        """Two contenders' rounds combined one by one: what disturbed a round disturbed both."""
        others = {one.round: one for one in self.of(second, workload)}
        values = [combine(one, others[one.round]) for one in self.of(first, workload) if one.round in others]
        return spread([value for value in values if value is not None])

    def faulty(self) -> dict[tuple[str, str], tuple[int, int, list[str]]]:
        """Contenders that gave wrong answers or errors: wrong, errors and examples by model and name."""
        found: dict[tuple[str, str], tuple[int, int, list[str]]] = {}
        for one in self.rounds:
            if one.faults:
                wrong, errors, examples = found.get((one.model, one.contender), (0, 0, []))
                found[one.model, one.contender] = (
                    wrong + one.wrong,
                    errors + sum(one.errors.values()),
                    [*examples, *one.examples][:3],
                )
        return found


@dataclass(frozen=True)
class Spread:
    """A median with the lowest and highest of the rounds."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread | None:
    """Median, lowest and highest; None of nothing."""
    return Spread(statistics.median(values), min(values), max(values)) if values else None


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return [_rounded(inner) for inner in value] if isinstance(value, list) else value
