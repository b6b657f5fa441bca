"""Whether a run may be believed: what a run says against itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from visionserve.load.judging import judgement, statistics
from visionserve.load.outcomes import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from visionserve.load.judging.judgement import Judgement
    from visionserve.load.judging.statistics import Estimate
    from visionserve.load.plan import Plan
    from visionserve.load.samples import Samples

# How late a request may leave, as a share of the latency bound (of the median where there is none), and the
# least that counts, in ms: the timers of an event loop are no better.
LAG_SHARE, LAG_FLOOR = 0.05, 2.0
LEAST_ACHIEVED = 0.99
MOST_CPU = 0.9  # of one core, per generator process; Locust itself warns here
MOST_OF_CEILING = 0.7  # of the rate this machine's generator can reach at all
WINDOWS, STEADY = 3, 0.1
_SIGMAS = 3.0
_FEWEST = 100  # requests; below, not even a p99 is a percentile of anything


@dataclass(frozen=True)
class Objection:
    """A reason not to believe a run.

    Attributes:
        rule: A stable name: `lag`, `rate`, `cpu`, `ceiling`, `in-flight`, `unsteady`, `few`,
            and of a run that was cut short `unfinished`.
        text: What was found, against what was allowed.
    """

    rule: str
    text: str

    @property
    def blames_generator(self) -> bool:
        """Whether the generator, not the server, fell short."""
        return self.rule in ("lag", "rate", "cpu", "ceiling")


def objections(samples: Samples, plan: Plan, judged: Judgement, ceiling: float | None = None) -> list[Objection]:
    """Everything that speaks against a run; empty for a valid one.

    Args:
        samples: In the order they were scheduled, warm-up included.
        plan: What the run was to do.
        judged: What it did.
        ceiling: Requests per second that the generator reaches against a server that does nothing.
    """
    run = judgement.measured(samples)
    found = [_few(len(run)), _cpu(run), _unsteady(run, judged)]
    if plan.open_loop:
        found += [_lag(run, judged), _rate(run, plan, judged), _in_flight(run, plan)]
        if ceiling is not None:
            found.append(_ceiling(plan.rate, ceiling))
    return [objection for objection in found if objection is not None]


def lag_p99(run: Samples) -> float:
    """How late requests were sent, 99th percentile, in ms; those held back by the in-flight cap left out."""
    free = run[run["capped"] == 0]
    return statistics.percentile((free["sent"] - free["scheduled"]) / 1e6, 99)


def cpu(run: Samples) -> float:
    """The cores that the busiest generator process used, from the first to its last answer."""
    used = [0.0]
    for generator in np.unique(run["generator"]):
        mine = run[run["generator"] == generator]
        wall = int(np.ptp(mine["answered"]))
        if wall > 0:
            used.append(float(np.ptp(mine["cpu"]) / wall))
    return max(used)


def _few(count: int) -> Objection | None:
    if count >= _FEWEST:
        return None
    return Objection("few", f"only {count} requests were measured, at least {_FEWEST} are needed; run longer")


def _lag(run: Samples, judged: Judgement) -> Objection | None:
    reference = judged.bound if judged.bound is not None else judged.latency[50.0].value
    limit = max(LAG_FLOOR, LAG_SHARE * reference) if np.isfinite(reference) else LAG_FLOOR
    lag = lag_p99(run)
    if not lag > limit:
        return None
    return Objection(
        "lag", f"the generator fell behind: 1 % of requests left {lag:.1f} ms late or more, {limit:.1f} ms allowed"
    )


def _rate(run: Samples, plan: Plan, judged: Judgement) -> Objection | None:
    """What was sent in time of what was due; a generator hopelessly behind gives up the rest of its schedule."""
    expected = plan.rate * judged.window.seconds
    # The number of Poisson arrivals varies by its square root.
    due = max(float(len(run)), expected - _SIGMAS * expected**0.5)
    if due <= 0:  # so few are expected that there may be none
        return None
    in_time = (run["sent"] / 1e9 <= judged.window.end) | (run["capped"] == 1)
    achieved = float(in_time.sum()) / due
    if achieved >= LEAST_ACHIEVED:
        return None
    return Objection(
        "rate", f"the generator sent {achieved:.1%} of the requests in time, {LEAST_ACHIEVED:.0%} are needed"
    )


def _cpu(run: Samples) -> Objection | None:
    used = cpu(run)
    if used <= MOST_CPU:
        return None
    return Objection(
        "cpu",
        f"a generator process used {used:.0%} of a core, {MOST_CPU:.0%} allowed; use more with --generators",
    )


def _ceiling(rate: float, ceiling: float) -> Objection | None:
    if rate <= MOST_OF_CEILING * ceiling:
        return None
    return Objection(
        "ceiling",
        f"{rate:.0f} requests/s is more than {MOST_OF_CEILING:.0%} of the {ceiling:.0f} that this generator"
        " reaches at most; use more processes with --generators",
    )


def _in_flight(run: Samples, plan: Plan) -> Objection | None:
    capped = int(run["capped"].sum())
    if capped == 0:
        return None
    return Objection("in-flight", f"{capped} requests waited because {plan.in_flight} were unanswered already")


def _unsteady(run: Samples, judged: Judgement) -> Objection | None:
    """Three windows whose mean latency or throughput differ by more than a tenth, and by more than chance."""
    length = judged.window.seconds / WINDOWS
    starts = [judged.window.start + turn * length for turn in range(WINDOWS)]
    run = run[run["outcome"] != Outcome.REFUSED_BAD]
    scheduled, answered = run["scheduled"] / 1e9, run["answered"] / 1e9
    latency = (run["answered"] - run["scheduled"]) / 1e6
    latencies = [
        statistics.mean_estimate(latency[(scheduled >= start) & (scheduled < start + length)]) for start in starts
    ]
    rates = [statistics.rate_estimate(answered, start, length) for start in starts]
    for name, parts in (("ms mean latency", latencies), ("answers/s", rates)):
        if _differ(parts):
            told = ", ".join(f"{part.value:.3g}" for part in parts)
            return Objection("unsteady", f"no steady state: {told} {name} in {WINDOWS} equal parts of the run")
    return None


def _differ(parts: Sequence[Estimate]) -> bool:
    values = np.array([part.value for part in parts])
    deviation = np.abs(values - values.mean())
    # Intervals of 95 % are two standard errors to each side.
    noise = np.array([part.half_width * _SIGMAS / 2 for part in parts])
    return bool(((deviation > STEADY * values.mean()) & (deviation > noise)).any())
