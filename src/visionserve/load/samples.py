"""Raw results on disk: one record per request.

Each generator process appends to its own journal, one unbuffered write per finished request, so a killed run
loses none. When the run is over the journals become one Parquet file; a killed run is read from its journals.

Times are nanoseconds since the epoch, taken from a monotonic clock that is set once per process.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from visionserve.load.errors import LoadError

if TYPE_CHECKING:
    from pathlib import Path

Samples = NDArray[np.void]

PARQUET = "samples.parquet"
_JOURNAL = "samples-{}.journal"
_MAGIC = b"VSLOAD1\n"
_DIGEST_BYTES = 32

WARM_UP, MEASURED = 0, 1

# One request. `decode` and `inference` are what the server says it spent, in ms, NaN when it says nothing;
# `batch` is how many requests it answered together, 0 when it does not say. `cpu` is the processor time the
# generator process had used by then, in ns. `capped` marks a request that waited because too many were in flight.
RECORD = np.dtype(
    [
        ("scheduled", "<i8"),
        ("sent", "<i8"),
        ("answered", "<i8"),
        ("cpu", "<i8"),
        ("decode", "<f4"),
        ("inference", "<f4"),
        ("bytes_out", "<u4"),
        ("bytes_in", "<u4"),
        ("status", "<u2"),
        ("picture", "<u2"),
        ("batch", "<u2"),
        ("outcome", "u1"),
        ("model", "u1"),
        ("phase", "u1"),
        ("generator", "u1"),
        ("capped", "u1"),
        ("type", "S27"),
    ]
)


class Journal:
    """Appends records; a context manager."""

    def __init__(self, folder: Path, generator: int, digest: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / _JOURNAL.format(generator)).open("wb", buffering=0)
        self._file.write(_MAGIC + bytes.fromhex(digest))

    def append(self, **fields: Any) -> None:
        """Write one finished request; fields not named are 0, or NaN for stage times."""
        record = np.zeros(1, RECORD)
        record["decode"] = record["inference"] = np.nan
        for name, value in fields.items():
            record[name] = value
        self._file.write(record.tobytes())

    def close(self) -> None:
        """Close the file; every record is on disk already."""
        self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def merge(folder: Path, digest: str, models: list[str], pictures: list[str]) -> Path:
    """Turn a run's journals into its Parquet file, with names instead of numbers, and remove them.

    Raises:
        LoadError: A journal is not of this run.
    """
    import pyarrow as pa
    from pyarrow import parquet

    from visionserve.load.outcomes import Outcome

    samples = _read_journals(folder, digest)
    names = {"model": models, "picture": pictures, "outcome": [outcome.name.lower() for outcome in Outcome]}
    columns: dict[str, Any] = {}
    for name in RECORD.names or ():
        if name in names:
            columns[name] = pa.DictionaryArray.from_arrays(pa.array(samples[name], pa.int32()), names[name])
        elif name == "type":
            columns[name] = pa.array([text.decode() for text in samples[name].tolist()]).dictionary_encode()
        else:
            columns[name] = pa.array(samples[name])
    target = folder / PARQUET
    part = target.with_suffix(".part")
    parquet.write_table(pa.table(columns), part, compression="zstd")
    part.replace(target)
    for journal in folder.glob(_JOURNAL.format("*")):
        journal.unlink()
    return target


def read(folder: Path, digest: str, models: list[str], pictures: list[str]) -> Samples:
    """All records of a run, in the order they were scheduled: from its Parquet file, else from its journals.

    Returns:
        Array `[requests]` of `RECORD`; `model`, `picture` and `outcome` index the given lists and `Outcome`.

    Raises:
        LoadError: There are no results, or they are not of this run.
    """
    if not (folder / PARQUET).exists():
        return _read_journals(folder, digest)
    from pyarrow import parquet

    from visionserve.load.outcomes import Outcome

    table = parquet.read_table(folder / PARQUET)
    samples = np.zeros(len(table), RECORD)
    numbers = {
        "model": {name: index for index, name in enumerate(models)},
        "picture": {name: index for index, name in enumerate(pictures)},
        "outcome": {outcome.name.lower(): int(outcome) for outcome in Outcome},
    }
    for name in RECORD.names or ():
        column: Any = table[name].combine_chunks()
        if name == "type":
            samples[name] = [text.encode() for text in column.to_pylist()]
        elif name in numbers:
            codes = np.array([numbers[name][text] for text in column.dictionary.to_pylist()], np.int64)
            samples[name] = codes[column.indices.to_numpy()]
        else:
            samples[name] = column.to_numpy()
    return samples


def _read_journals(folder: Path, digest: str) -> Samples:
    journals = sorted(folder.glob(_JOURNAL.format("*")))
    if not journals:
        raise LoadError(f"no results in {folder}: neither {PARQUET} nor a {_JOURNAL.format('N')}")
    samples = np.concatenate([_read_journal(path, digest) for path in journals])
    return samples[np.argsort(samples["scheduled"], kind="stable")]


def _read_journal(path: Path, digest: str) -> Samples:
    with path.open("rb") as file:
        start = file.read(len(_MAGIC) + _DIGEST_BYTES)
        if start != _MAGIC + bytes.fromhex(digest):
            raise LoadError(f"{path} is not of this run: its generator sent another corpus")
        # A process killed while writing leaves part of a record, of a request that was not finished.
        whole = (os.fstat(file.fileno()).st_size - len(start)) // RECORD.itemsize
        return np.fromfile(file, RECORD, count=whole)
