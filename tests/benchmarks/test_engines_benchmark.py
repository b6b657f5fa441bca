"""What `make engines` keeps and shows, of results that are known."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from benchmarks import engines, machine

if TYPE_CHECKING:
    from pathlib import Path

HARDWARE = {"cpu": "AMD EPYC", "cores": 2, "instructions": ["avx2", "avx512f", "avx512_bf16"]}


def measured(way: str, alone: float, batch: float) -> dict[str, Any]:
    rates = {size: {"median": rate, "low": rate, "high": rate} for size, rate in (("1", alone), ("8", batch))}
    return {"way": way, "rates": rates}


def document(*ways: dict[str, Any], date: str = "2026-11-27") -> dict[str, Any]:
    return {
        "date": date,
        "hardware": HARDWARE,
        "versions": {"torch": "2.15.0", "openvino": "2026.4.1"},
        "multiplications": {"total": 4_090_000_000, "winograd": 1_500_000_000},
        "peaks": {"fp32": 57e9},
        "measured": list(ways),
    }


def test_a_network_measured_again_takes_its_place_beside_the_others(tmp_path: Path) -> None:
    path = tmp_path / "results" / "one.json"
    engines.keep(path, "resnet18", document(date="2026-11-01"))
    engines.keep(path, "vgg16", document(date="2026-11-02"))
    engines.keep(path, "resnet18", document(date="2026-11-03"))
    kept = json.loads(path.read_text())
    assert {name: one["date"] for name, one in kept.items()} == {"resnet18": "2026-11-03", "vgg16": "2026-11-02"}


def test_kinds_of_processor_have_files_of_their_own() -> None:
    assert machine.kind(HARDWARE) == "amd-epyc-2-cores-avx512-bf16"
    assert machine.kind({**HARDWARE, "instructions": ["avx2"]}) == "amd-epyc-2-cores-avx2"
    assert machine.kind({**HARDWARE, "instructions": []}) == "amd-epyc-2-cores"


def test_the_fastest_stands_out_alone_and_in_batches(tmp_path: Path) -> None:
    path = tmp_path / "amd.json"
    ways = measured("openvino in fp32", 19.6, 15.9), measured("ncnn in fp32", 17.25, 17.25)
    engines.keep(path, "resnet50", document(*ways))
    engines.keep(path, "vgg16", document(measured("ncnn in fp32", 9.64, 9.64)))
    section = engines.section([path])
    assert "| resnet50 | 4.09, 37% | **19.6** / 15.9 | 17.2 / **17.2** |" in section
    assert "| vgg16 | 4.09, 37% |  | **9.64** / **9.64** |" in section
    assert (
        "**AMD EPYC, 2 cores** (avx2, avx512f, avx512_bf16), 2026-11-27; torch 2.15.0, openvino 2026.4.1"
        in section
    )
    assert "fp32 57" in section
    assert "(../benchmarks/results/engines/amd.json)" in section
