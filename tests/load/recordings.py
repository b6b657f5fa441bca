"""Made-up recordings of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from visionserve.load import machine, runs
from visionserve.load.outcomes import Outcome
from visionserve.load.samples import MEASURED, RECORD, Samples
from visionserve.load.sending.corpus import Corpus, Picture

if TYPE_CHECKING:
    from pathlib import Path

    from visionserve.load.plan import Plan

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


def run_folder(folder: Path, plan: Plan, samples: Samples, label: str | None = None, purpose: str = "run") -> Path:
    """A finished run's folder, as traffic would have left it."""
    facts = {
        "host": "http://127.0.0.1:8080",
        "server": {
            "m": {
                "minWorkers": 1,
                "batchSize": 8,
                "maxBatchDelay": 2,
                "jobQueueStatus": {"remainingCapacity": 100},
            }
        },
        "archives": {"m": {"file": "m.mar", "sha256": "ab" * 32, "bytes": 1}},
        "machine": machine.describe(),
        "versions": machine.versions(),
        "commit": "cd" * 20,
        "ceiling": {"requests_per_second": 4000.0, "cpu": 1.0, "generators": 1},
    }
    pictures = tuple(Picture(f"{kind}.jpeg", kind, 1.0, {}, bytes(1000)) for kind in ("golden", "large", "bad"))
    header = runs.begin(folder, plan, Corpus(pictures, {"m": 1.0}), facts, label, purpose)
    digest = bytes.fromhex(header["corpus"]["digest"])
    (folder / "samples-0.journal").write_bytes(b"VSLOAD1\n" + digest + samples.tobytes())
    runs.finish(folder, header)
    return folder
