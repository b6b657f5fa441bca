"""What the raw samples of a run say: pure functions of arrays.

Latency counts from the scheduled time to the whole answer, in ms. A request that failed was never answered: it
counts as infinitely late, so failing fast improves no percentile. Bad pictures that were refused, as they should
be, count as right answers in rates and not at all in latencies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from visionserve.load.judging import statistics
from visionserve.load.outcomes import RIGHT, Outcome
from visionserve.load.samples import MEASURED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from visionserve.load.judging.statistics import Estimate, Floats
    from visionserve.load.samples import Samples

PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)
STAGES = ("generator", "waiting", "decode", "inference")


@dataclass(frozen=True)
class Window:
    """The measured part of a run, in seconds since the epoch."""

    start: float
    seconds: float

    @property
    def end(self) -> float:
        """Where it ends."""
        return self.start + self.seconds


@dataclass(frozen=True)
class Judgement:
    """A run in numbers.

    Attributes:
        window: What was measured.
        requests: Scheduled in it.
        offered: Scheduled per second.
        throughput: Right answers that came per second.
        goodput: Right answers that came within the bound, per second; the throughput where there is no bound.
        bound: The latency bound in ms, or None.
        latency: Percentile to latency in ms.
        mean: Mean latency of the requests that were answered, in ms.
        largest: The longest latency of those, in ms.
        outcomes: How many requests ended how.
        error_rate: The share of requests that did not end right.
        stages: Mean ms of a right answer's time by stage; empty when the server does not tell. `generator` is how
            late the request was sent; `waiting` is what remains: queue, batching and transport.
        batch: Mean number of requests that were answered together; NaN when the server does not tell.
        service: Median ms from sending to the answer, which is what clients who wait would see.
    """

    window: Window
    requests: int
    offered: float
    throughput: Estimate
    goodput: Estimate
    bound: float | None
    latency: Mapping[float, Estimate]
    mean: Estimate
    largest: float
    outcomes: Mapping[Outcome, int]
    error_rate: float
    stages: Mapping[str, float]
    batch: float
    service: float


def window(samples: Samples, duration: float) -> Window:
    """The measured time: `duration` seconds from the first measured request on.

    Args:
        samples: Of one run, warm-up included.
        duration: The seconds that were measured.
    """
    run = measured(samples)
    return Window(float(run["scheduled"].min()) / 1e9 if len(run) else 0.0, duration)


def measured(samples: Samples) -> Samples:
    """The requests that were due after the warm-up."""
    run: Samples = samples[samples["phase"] == MEASURED]
    return run


def latencies(samples: Samples) -> Floats:
    """Latency of each request in ms; infinite for those that failed, and refused bad pictures left out."""
    counted = samples[samples["outcome"] != Outcome.REFUSED_BAD]
    latency: Floats = (counted["answered"] - counted["scheduled"]) / 1e6
    return np.where(counted["outcome"] == Outcome.OK, latency, np.inf)


def judge(samples: Samples, duration: float, bound: float | None = None) -> Judgement:
    """Judge one run.

    Args:
        samples: In the order they were scheduled, warm-up included.
        duration: The seconds that were measured.
        bound: The latency in ms within which an answer is good.
    """
    time = window(samples, duration)
    run = measured(samples)
    late = latencies(run)
    answered = late[np.isfinite(late)]
    right = np.isin(samples["outcome"], list(RIGHT))
    within = right & ((samples["answered"] - samples["scheduled"]) / 1e6 <= (np.inf if bound is None else bound))
    counts = np.bincount(run["outcome"], minlength=len(Outcome))
    batches = run["batch"][run["batch"] > 0]
    ok = run[run["outcome"] == Outcome.OK]
    return Judgement(
        window=time,
        requests=len(run),
        offered=len(run) / time.seconds,
        throughput=statistics.rate_estimate(samples["answered"][right] / 1e9, time.start, time.seconds),
        goodput=statistics.rate_estimate(samples["answered"][within] / 1e9, time.start, time.seconds),
        bound=bound,
        latency={q: statistics.percentile_estimate(late, q) for q in PERCENTILES},
        mean=statistics.mean_estimate(answered),
        largest=float(answered.max(initial=0.0)),
        outcomes={outcome: int(counts[outcome]) for outcome in Outcome},
        error_rate=float(1 - sum(counts[outcome] for outcome in RIGHT) / len(run)) if len(run) else float("nan"),
        stages=stages(ok),
        batch=float(batches.mean()) if len(batches) else float("nan"),
        service=statistics.percentile((ok["answered"] - ok["sent"]) / 1e6, 50),
    )


def stages(ok: Samples) -> dict[str, float]:
    """Where the mean right answer's time went, in ms; the parts add up to its latency.

    Args:
        ok: Requests that were answered right.
    """
    told = ok[np.isfinite(ok["decode"]) & np.isfinite(ok["inference"])]
    if len(told) == 0:
        return {}
    lag = float(((told["sent"] - told["scheduled"]) / 1e6).mean())
    decode, inference = float(told["decode"].mean()), float(told["inference"].mean())
    total = float(((told["answered"] - told["scheduled"]) / 1e6).mean())
    return dict(zip(STAGES, (lag, total - lag - decode - inference, decode, inference), strict=True))


def metric(judgement: Judgement, samples: Samples, name: str) -> float:
    """A metric by the name that thresholds use: `p99`, `p99.9`, `mean`, `max`, `error_rate`, `throughput`, ...

    Latencies are in ms, rates per second, `*_rate` shares of all requests.

    Raises:
        KeyError: There is none of that name.
    """
    if name[:1] == "p" and name[1:].replace(".", "", 1).isdigit():
        return statistics.percentile(latencies(measured(samples)), float(name[1:]))
    total = max(1, judgement.requests)
    values = {
        "mean": judgement.mean.value,
        "max": judgement.largest,
        "error_rate": judgement.error_rate,
        "wrong_rate": judgement.outcomes[Outcome.WRONG] / total,
        "rejected_rate": judgement.outcomes[Outcome.REJECTED] / total,
        "throughput": judgement.throughput.value,
        "goodput": judgement.goodput.value,
    }
    return values[name]
