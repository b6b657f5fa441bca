"""What a server takes under a latency objective: the search, run with real traffic and kept on disk.

A search's folder holds `search.json` and one run's folder for each rate that was tried.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from visionserve.load import runs
from visionserve.load.errors import LoadError
from visionserve.load.judging import judgement, thresholds
from visionserve.load.plan import Plan
from visionserve.load.series import search
from visionserve.load.series.search import Found, GeneratorTooSlow, Probe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from visionserve.load.judging.thresholds import Threshold
    from visionserve.load.runs import Run
    from visionserve.load.sending.generator import Session

FILE = "search.json"
_FORMAT = 1
_FIRST_USERS = 8
_FIRST_SECONDS, _FIRST_PROBES = 6.0, 3.0  # at most so long, and so many times a probe
# Where probing begins, as a share of what closed-loop clients get: a latency objective lies below saturation.
_FIRST_SHARE = 0.8
# A request slower than this many bounds is late enough to stop waiting for.
_PATIENCE = 20
_LEAST_TIMEOUT = 10.0  # seconds
_FEWEST_REQUESTS = 300
_CURVE_SECONDS = 8.0  # at most; no longer than a probe


@dataclass(frozen=True)
class Search:
    """How to search.

    Attributes:
        objective: A latency threshold.
        most_errors: The share of requests that may fail.
        probe: Seconds of each probe; longer where the rate is too low for a percentile.
        confirm: Seconds of the confirming run, likewise.
        warm_up: Seconds before each that are not judged.
        seed: Of the schedules.
        generators: Processes that share the load.
        precision: The relative gap at which the search ends.
        curve: Further rates to try, as multiples of the result, so that the report can draw latency and goodput
            from light load to past saturation.
    """

    objective: Threshold
    most_errors: float = 0.001
    probe: float = 15.0
    confirm: float = 60.0
    warm_up: float = 3.0
    seed: int = 1
    generators: int = 1
    precision: float = search.PRECISION
    curve: tuple[float, ...] = (0.33, 0.67, 1.25)

    def run(self, session: Session, folder: Path, tell: Callable[[Probe], None] = lambda _: None) -> Found:
        """Search with real traffic.

        Args:
            session: The server and what is sent.
            folder: Where runs and the result are kept.
            tell: Called after every probe.

        Raises:
            GeneratorTooSlow: The generator, not the server, was at its end.
            LoadError: The server gives nobody a right answer, or no end was found.
        """
        seconds = min(_FIRST_SECONDS, _FIRST_PROBES * self.probe)
        first = session.run(
            Plan(users=_FIRST_USERS, warm_up=self.warm_up, duration=seconds), folder / "closed-loop"
        )
        reached = first.judge().throughput.value
        if not reached > 0:
            raise LoadError(f"no right answer came in {seconds:g} s; see {first.folder / 'locust.html'}")
        probes: list[Probe] = []

        def measure(rate: float, confirming: bool, seconds: float | None = None) -> Probe:
            plan = self.plan(rate, confirming=confirming, seconds=seconds)
            name = self._folder(folder, len(probes), rate, confirming)
            try:
                probes.append(self.judge(session.run(plan, name), confirming=confirming))
            except GeneratorTooSlow:  # once may be the machine's other work
                probes.append(self.judge(session.run(plan, name), confirming=confirming))
            self._write(folder, probes, None)
            tell(probes[-1])
            return probes[-1]

        found = search.search(measure, reached * _FIRST_SHARE, self.precision)
        with suppress(GeneratorTooSlow):
            for share in self.curve if found.rate else ():
                measure(found.rate * share, False, min(_CURVE_SECONDS, self.probe))
        found = Found(found.rate, tuple(probes))
        self._write(folder, list(found.probes), found.rate)
        return found

    def plan(self, rate: float, *, confirming: bool, seconds: float | None = None) -> Plan:
        """The traffic of one probe; `seconds` instead of the usual duration."""
        usual = self.confirm if confirming else self.probe
        enough = max(usual, min(2 * usual, _FEWEST_REQUESTS / rate))
        patience = max(_LEAST_TIMEOUT, _PATIENCE * self.objective.limit / 1000)
        return Plan(
            rate=rate,
            warm_up=self.warm_up,
            duration=seconds or enough,
            seed=self.seed + 1000 * confirming,
            timeout=patience,
            generators=self.generators,
        )

    def judge(self, run: Run, *, confirming: bool) -> Probe:
        """Whether a run holds the objective.

        Raises:
            GeneratorTooSlow: It does not, and the generator, not the server, may be why.
        """
        sent = run.samples.copy()
        sent["scheduled"] = sent["sent"]
        judged = run.judge(self.objective.limit)
        objections = run.objections(judged)
        met = self.objective.holds(judged, run.samples) and judged.error_rate <= self.most_errors
        blamed = [objection for objection in objections if objection.blames_generator]
        # Latency counts from the schedule, so a late generator can only make it look worse: what holds, holds. And
        # what fails even when it counts from sending is the server's fault.
        from_sending = judgement.judge(sent, run.seconds, self.objective.limit)
        server = judged.error_rate > self.most_errors or not self.objective.holds(from_sending, sent)
        if blamed and not met and not server:
            raise GeneratorTooSlow(f"at {run.plan.rate:.1f} requests/s {blamed[0].text}")
        value = f"{self.objective.metric} {self.objective.value(judged, run.samples)}"
        doubts = [objection.text for objection in objections if confirming or objection.rule == "in-flight"]
        errors = [f"{judged.error_rate:.2%} of requests failed"] if judged.error_rate > self.most_errors else []
        return Probe(
            run.plan.rate, met and not doubts, confirming, "; ".join([value, *errors, *doubts]), not doubts
        )

    @staticmethod
    def _folder(folder: Path, count: int, rate: float, confirming: bool) -> Path:
        return folder / f"{count + 1:02}-{'confirm' if confirming else 'probe'}-{rate:.1f}"

    def _write(self, folder: Path, probes: list[Probe], rate: float | None) -> None:
        names = [self._folder(folder, i, p.rate, p.confirming).name for i, p in enumerate(probes)]
        document = {
            "format": _FORMAT,
            "objective": self.objective.text,
            "most_errors": self.most_errors,
            "rate": rate,
            "probes": [{**asdict(probe), "folder": name} for probe, name in zip(probes, names, strict=True)],
        }
        (folder / FILE).write_text(json.dumps(document, indent=1), encoding="utf-8")


@dataclass(frozen=True)
class Searched:
    """A search as read from its folder.

    Attributes:
        folder: Its folder.
        objective: The latency threshold.
        rate: The highest rate that held, 0 when none did, None when the search was cut short.
        probes: Everything that was tried.
        runs: The run of each probe.
    """

    folder: Path
    objective: Threshold
    rate: float | None
    probes: tuple[Probe, ...]
    runs: tuple[Run, ...]

    @property
    def confirmed(self) -> Run | None:
        """The long run that held."""
        held = [run for probe, run in zip(self.probes, self.runs, strict=True) if probe.confirming and probe.holds]
        return held[0] if held else None


def read(folder: Path) -> Searched:
    """Read a search.

    Raises:
        LoadError: There is none, or a probe of it is missing.
    """
    try:
        document: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
        probes = [(entry.pop("folder"), Probe(**entry)) for entry in document["probes"]]
        return Searched(
            folder=folder,
            objective=thresholds.objective(document["objective"]),
            rate=document["rate"],
            probes=tuple(probe for _, probe in probes),
            runs=tuple(runs.read(folder / name) for name, _ in probes),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LoadError(f"{folder / FILE} is no search: {' '.join(str(error).split())}") from error
