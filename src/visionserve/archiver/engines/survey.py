"""Every engine beside every other one, for one network on this machine."""

from __future__ import annotations

import tempfile
import zipfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from visionserve.archiver.engines import multiplications, peak, turns, variants
from visionserve.archiver.engines.turns import Figures
from visionserve.runtime import archive
from visionserve.runtime.engines import Source
from visionserve.runtime.machine import cores
from visionserve.runtime.model import Model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from visionserve.archiver.engines.multiplications import Multiplications
    from visionserve.archiver.engines.variants import Variant
    from visionserve.runtime.engines.loading import Way
    from visionserve.runtime.proof.golden import Golden


@dataclass(frozen=True)
class Survey:
    """What was found.

    Attributes:
        architecture: The network.
        side: The side of its input, in pixels.
        threads: How many threads each engine had.
        multiplications: What direct convolution takes for a picture.
        peaks: By precision, the most multiplications a second that were measured here.
        measured: The engines that ran.
        lacking: Those that did not, each with the reason.
    """

    architecture: str
    side: int
    threads: int
    multiplications: Multiplications
    peaks: Mapping[str, float]
    measured: Sequence[Figures]
    lacking: Mapping[Way, str]

    def share(self, figures: Figures) -> float | None:
        """The part of the multiplications that this processor can do which its fastest batch size did.

        More than 1 where an algorithm needs fewer than direct convolution.
        """
        most = self.peaks.get(figures.way.precision)
        rate = max(each.median for each in figures.rates.values())
        return rate * self.multiplications.total / most if most else None

    def document(self) -> dict[str, Any]:
        """The same as JSON has it."""
        return {
            "architecture": self.architecture,
            "side": self.side,
            "threads": self.threads,
            "multiplications": asdict(self.multiplications),
            "peaks": dict(self.peaks),
            "measured": [
                {**asdict(each), "way": str(each.way), "share": self.share(each)} for each in self.measured
            ],
            "lacking": {str(way): reason for way, reason in self.lacking.items()},
        }


def make(
    mar: Path,
    batches: Sequence[int],
    seconds: float,
    progress: Callable[[Sequence[Any], str], Iterator[Any]],
    threads: int | None = None,
) -> Survey:
    """Run an archive's network by every engine.

    Args:
        mar: The archive.
        batches: Batch sizes.
        seconds: How long each engine runs at a time.
        progress: Given steps and what they are, hands them out one by one and shows how many are left.
        threads: The threads of each engine. Default: all cores.

    Raises:
        SpecError, WeightsError: The archive is damaged.
    """
    threads = threads or cores.available()
    with _unpacked(mar, threads) as (source, known):
        counted = multiplications.count(source.network(), source.model.transform.crop)
        peaks = {name: peak.measure(name, threads) for name in ("fp32", "bf16", "int8")}
        made: dict[Way, Variant] = {}
        for way in progress(variants.WAYS, "making what engines need"):
            folder = source.folder.parent / str(way).replace(" ", "-")
            made[way] = variants.make(source, way, known.pixels, folder, made)
        found = turns.compare(
            list(made.values()), threads, batches, seconds, lambda turns: progress(turns, "engines in turns")
        )
    return Survey(
        source.model.architecture,
        source.model.transform.crop,
        threads,
        counted,
        {name: most for name, most in peaks.items() if most},
        [each for each in found if isinstance(each, Figures)],
        {each.way: each.lacks or "" for each in found if not isinstance(each, Figures)},
    )


@contextmanager
def _unpacked(mar: Path, threads: int) -> Iterator[tuple[Source, Golden]]:
    """An archive's source, whatever engine and precision it is to be served by."""
    with tempfile.TemporaryDirectory(prefix="visionserve-") as scratch:
        folder = Path(scratch) / "archive"
        with zipfile.ZipFile(mar) as file:
            file.extractall(folder)
        labels, identity = archive.read_labels(folder), archive.read_identity(folder)
        model = Model.from_config(archive.read_config(folder), labels, identity.name, identity.version)
        model = replace(model, engine="auto", precision="auto")
        yield Source(folder, model, torch.device("cpu"), threads), archive.read_golden(folder, labels)
