"""A run as Markdown, for docs/performance.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.precision import proof, subjects
from benchmarks.tables import table
from visionserve.runtime.proof import bounds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.precision.figures import Figures
    from benchmarks.precision.proof import Proof
    from benchmarks.precision.results import Results
    from benchmarks.precision.run import Measured

_HEAD = (
    "decoding",
    "a picture's logits: worst (99 %)",
    "a class's: worst (99 %)",
    "same class",
    "widest margin decided otherwise",
    "largest change of a probability",
    "ms to decode, to compute",
)

_PROOFS = (
    "The proof's golden pictures: how far a picture's logits, and a class's, are at most from what the archive"
    " records, of all engines, here and with oneDNN held to fewer instructions:"
)


def section(results: Results) -> str:
    """All of a run: each network on its pictures, then what the proof's bounds stand on."""
    parts = []
    for name, one in results.measured.items():
        if one.figures:
            parts += [f"{subjects.TITLES[name]}, {one.figures[0].count} {one.kind}:", _network(one.figures)]
        notes = [f"int8 was {one.calibrated}."] if one.calibrated else []
        notes += [f"{engine or subjects.TITLES[name]}: not run: {why}." for engine, why in one.not_run.items()]
        parts += filter(None, [" ".join(notes)])
    parts += [_PROOFS, _proofs(results.measured.values())]
    return "\n\n".join([*parts, _setting(results)])


def _network(found: Sequence[Figures]) -> str:
    return table(["engine", *_HEAD], [[f"{one.engine} {one.precision}", *_cells(one)] for one in found])


def _cells(one: Figures) -> list[str]:
    distance = one.distance
    return [
        one.decoding,
        f"{_share(distance.error)} ({_share(distance.error_p99)})",
        f"{_share(distance.deviation)} ({_share(distance.deviation_p99)})",
        f"{distance.agreed} of {one.count}",
        f"{distance.margin:.3f}" if distance.agreed < one.count else "",
        f"{distance.change:.3f}" if distance.change >= 0.0005 else "0",
        f"{one.decoding_ms:.1f}, {one.network_ms:.1f}",
    ]


def _proofs(measured: Iterable[Measured]) -> str:
    rows = []
    for one in measured:
        for precision in dict.fromkeys(seen.precision for seen in one.proofs):
            cells = [
                _worst([seen for seen in one.proofs if (seen.precision, seen.limit) == (precision, limit)])
                for limit in proof.LIMITS
            ]
            allowed = bounds.of(precision)
            limits = f"{allowed.picture:.0%}, {allowed.of_class:.0%}"
            rows.append([f"{subjects.TITLES[one.subject]}, {precision}", *cells, limits])
    return table(["network", *(limit or "here" for limit in proof.LIMITS), "allowed"], rows)


def _worst(proofs: Sequence[Proof]) -> str:
    if not proofs:
        return ""
    worst = [max(seen.error for seen in proofs), max(seen.deviation for seen in proofs)]
    return ", ".join(_share(value) for value in worst)


def _share(value: float) -> str:
    return f"{value:.1%}" if value >= 0.0005 else "0" if value == 0 else f"{value:.0e}"


def _setting(results: Results) -> str:
    about = results.about
    hardware, versions = about["hardware"], about["versions"]
    software = ", ".join(
        f"{name} {versions[name]}" for name in ("torch", "openvino", "nncf", "pillow") if name in versions
    )
    minutes = sum(one.minutes for one in results.measured.values())
    return (
        f"{about['date']}, {hardware['cpu']}, {hardware['cores']} cores ({', '.join(hardware['instructions'])});"
        f" {software}; {minutes:.0f} minutes."
    )
