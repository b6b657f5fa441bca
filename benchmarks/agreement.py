"""How often our answers are those of torch in fp32."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.results import Agreement
from visionserve.archiver.demo import colours
from visionserve.runtime.proof import drawing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from benchmarks.contenders.engine_alone import EngineAlone
    from benchmarks.reference import Reference

# Not the seeds of any picture that calibration saw.
_PHOTOGRAPH_SEED = 9_000_000
_WIDTH, _HEIGHT = 500, 375


def sets(folder: Path, photographs: int, per_class: int) -> dict[str, list[Path]]:
    """The pictures that answers are compared on, drawn into a folder.

    Args:
        folder: Where they go; those that are there already are kept.
        photographs: How many photograph-like pictures. They show no colour that the demo networks know, so their
            answers are close calls: the strictest set there is.
        per_class: How many of the demo's held-out pictures of each class.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plain = {folder / f"photograph-{seed}.jpg": _PHOTOGRAPH_SEED + seed for seed in range(photographs)}
    for path, seed in plain.items():
        if not path.exists():
            path.write_bytes(drawing.encode(drawing.photograph(seed, _WIDTH, _HEIGHT), "JPEG"))
    held_out = []
    for index, (colour, data) in enumerate(colours.held_out(per_class)):
        held_out.append(folder / f"held-out-{index}-{colour}.jpg")
        held_out[-1].write_bytes(data)
    return {"demo set, held out": held_out, f"photograph-like {_WIDTH}x{_HEIGHT}": list(plain)}


def compare(
    model: str, reference: Reference, engines: Mapping[str, EngineAlone], pictures: Mapping[str, Sequence[Path]]
) -> list[Agreement]:
    """Every variant's top label against the reference's, on every set, from the encoded bytes on."""
    found = []
    for name, paths in pictures.items():
        best = reference.probabilities([path.read_bytes() for path in paths]).argmax(dim=1)
        right = [reference.labels[int(index)] for index in best]
        for variant, engine in engines.items():
            engine.tree.resume()
            got = engine.labels([str(path) for path in paths])
            engine.tree.pause()
            agreed = sum(one == other for one, other in zip(got, right, strict=True))
            found.append(Agreement(model, variant, name, len(paths), agreed))
    return found
