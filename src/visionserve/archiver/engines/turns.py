"""How fast each engine runs a network here: each in a process of its own, in turns."""

from __future__ import annotations

import statistics
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from visionserve.archiver.engines.engine_process import EngineProcess
from visionserve.runtime.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from visionserve.archiver.engines.variants import Variant
    from visionserve.runtime.engines.loading import Way

# The median of so many lies between the second and the second to last of them in 96 of 100 cases, whatever they
# are distributed like: 1 - 2 (1 + 9) / 2^9.
ROUNDS = 9


@dataclass(frozen=True)
class Rate:
    """Pictures a second: the median of the rounds, and an interval that holds it in 96 of 100 cases."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, rates: Sequence[float]) -> Rate:
        """Of as many rounds as there were."""
        ordered = sorted(rates)
        return cls(statistics.median(ordered), ordered[1], ordered[-2])


@dataclass(frozen=True)
class Figures:
    """What an engine did.

    Attributes:
        way: The engine and its precision.
        rates: By batch size.
        load: Seconds that loading took, without starting Python and torch.
        memory: Bytes of its process in the end, torch and all libraries among them.
        error: How far its logits of the golden pictures are from the archive's at most; see `golden.error`.
        same: For how many of them the class is the same.
        of: How many there are.
    """

    way: Way
    rates: Mapping[int, Rate]
    load: float
    memory: int
    error: float
    same: int
    of: int


def compare(
    variants: Sequence[Variant],
    threads: int,
    batches: Sequence[int],
    seconds: float,
    progress: Callable[[Sequence[Any]], Iterator[Any]],
) -> list[Figures | Variant]:
    """Run every variant in turns, `ROUNDS` times at each batch size.

    Args:
        variants: What to run; one that lacks something is handed back as it is.
        threads: The threads of each.
        batches: The batch sizes.
        seconds: How long a turn is.
        progress: Given all turns, hands them out one by one, and shows how many are left.
    """
    failed: dict[Way, str] = {variant.way: variant.lacks for variant in variants if variant.lacks}
    rates: dict[Way, dict[int, list[float]]] = {}
    memory: dict[Way, int] = {}
    processes: list[EngineProcess] = []
    with ExitStack() as stack:
        for variant in variants:
            if variant.way in failed:
                continue
            process = stack.enter_context(EngineProcess(variant, threads))
            try:
                process.wait()
                processes.append(process)
                rates[process.way] = {batch: [] for batch in batches}
            except EngineError as error:
                failed[variant.way] = str(error)
        turns = [(batch, process) for _ in range(ROUNDS) for batch in batches for process in processes]
        for batch, process in progress(turns):
            if process.way in failed:
                continue
            try:
                found = process.run(batch, seconds)
                rates[process.way][batch].append(found["rate"])
                memory[process.way] = found["memory"]
            except EngineError as error:
                failed[process.way] = str(error)
    figures = {
        process.way: Figures(
            process.way,
            {batch: Rate.of(found) for batch, found in rates[process.way].items()},
            process.loaded["seconds"],
            memory[process.way],
            process.loaded["error"],
            process.loaded["same"],
            process.loaded["of"],
        )
        for process in processes
        if process.way not in failed
    }
    return [figures.get(variant.way) or replace(variant, lacks=failed[variant.way]) for variant in variants]
