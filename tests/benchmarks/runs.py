"""A run with numbers that can be checked in the head."""

from __future__ import annotations

from benchmarks import plan
from benchmarks.results import Agreement, Entry, InProcess, Results, Round

ABOUT = {
    "date": "2026-01-02",
    "time": "2026-01-02T03:04:05+00:00",
    "quick": False,
    "command": "python -m benchmarks run",
    "commit": "abcdef0",
    "hardware": {"cpu": "A CPU", "cores": 2, "instructions": ["avx512_bf16"]},
    "versions": {"torch": "2.15.0", "torchserve": "0.12.0"},
    "plan": {"rounds": 3, "seconds": 4.0},
}

# Requests a second in three rounds; the second round found the machine at half its speed.
RATES = {
    plan.STOCK: (20.0, 10.0, 22.0),
    plan.OURS["fp32"]: (50.0, 25.0, 44.0),
    plan.OURS["auto"]: (100.0, 50.0, 99.0),
    plan.ENGINES["auto"]: (110.0, 55.0, 110.0),
}


def make_results() -> Results:
    results = Results({**ABOUT})
    for name, rates in RATES.items():
        results.entries.append(
            Entry(
                plan.RESNET50,
                name,
                f"title of {name}",
                "what",
                {},
                ready=[5.0, 7.0, 6.0],
                workers=[{"rss": 900.0, "pss": 600.0, "uss": 500.0}],
            )
        )
        for clients in (1, 32):
            results.rounds += [
                Round(plan.RESNET50, "500x375", clients, name, number, rate=rate, p50=1000 / rate, checked=10)
                for number, rate in enumerate(rates)
            ]
    results.entries.append(
        Entry(
            plan.RESNET50, plan.OURS["int8"], "visionserve, int8", "what", {}, not_run="no calibration | pictures"
        )
    )
    results.in_process += [
        InProcess(plan.RESNET50, "500x375", "auto", number, milliseconds)
        for number, milliseconds in enumerate((8.0, 18.0, 9.0))
    ]
    results.agreements += [
        Agreement(plan.RESNET50, "auto", "demo set", 140, 140),
        Agreement(plan.RESNET50, "auto", "photographs", 500, 496),
        Agreement(plan.VGG16, "auto", "photographs", 500, 250),
    ]
    return results
