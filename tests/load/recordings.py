"""Made-up recordings of runs."""

from __future__ import annotations

import numpy as np

from visionserve.load.outcomes import Outcome
from visionserve.load.samples import MEASURED, RECORD, Samples

START = 1_700_000_000 * 10**9


def recorded(
    rate: float, seconds: float, latency: float = 20.0, gaps: np.random.Generator | None = None
) -> Samples:
    """A run at a rate, equally spaced or with exponential gaps, each request answered right after `latency` ms."""
    count = int(rate * seconds)
    samples = np.zeros(count, RECORD)
    due = np.arange(count) / rate if gaps is None else np.cumsum(gaps.exponential(1 / rate, count))
    samples["scheduled"] = samples["sent"] = START + (due * 1e9).astype(np.int64)
    samples["answered"] = samples["scheduled"] + int(latency * 1e6)
    samples["outcome"] = Outcome.OK
    samples["phase"] = MEASURED
    samples["status"] = 200
    samples["decode"] = samples["inference"] = np.nan
    return samples
