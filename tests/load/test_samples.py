"""Records on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from pyarrow import parquet
from tests.load.recordings import recorded

from visionserve.load import samples
from visionserve.load.errors import LoadError
from visionserve.load.outcomes import Outcome

if TYPE_CHECKING:
    from pathlib import Path

DIGEST = "ab" * 32
MODELS, PICTURES = ["resnet50", "vgg16"], ["a.jpeg", "b.png"]


def write(folder: Path, records: samples.Samples, generator: int = 0) -> None:
    with samples.Journal(folder, generator, DIGEST) as journal:
        for record in records:
            journal.append(**{name: record[name] for name in samples.RECORD.names or ()})


def some() -> samples.Samples:
    records = recorded(50, 4)
    records["model"][::2] = 1
    records["picture"][::3] = 1
    records["outcome"][::5] = Outcome.REJECTED
    records["type"][::5] = b"ServiceUnavailableException"
    records["decode"][1::2] = 1.5
    return records


def same(one: samples.Samples, other: samples.Samples) -> bool:
    return all(
        np.array_equal(one[name], other[name], equal_nan=one[name].dtype.kind == "f")
        for name in samples.RECORD.names or ()
    )


def test_what_is_written_is_read_from_journals_and_from_parquet(tmp_path: Path) -> None:
    records = some()
    write(tmp_path, records)
    assert same(samples.read(tmp_path, DIGEST, MODELS, PICTURES), records)
    samples.merge(tmp_path, DIGEST, MODELS, PICTURES)
    assert not list(tmp_path.glob("*.journal"))
    assert same(samples.read(tmp_path, DIGEST, MODELS, PICTURES), records)


def test_several_generators_are_read_as_one_in_order(tmp_path: Path) -> None:
    records = some()
    write(tmp_path, records[::2], 0)
    write(tmp_path, records[1::2], 1)
    assert same(samples.read(tmp_path, DIGEST, MODELS, PICTURES), records)


def test_a_record_cut_short_by_a_kill_is_left_out(tmp_path: Path) -> None:
    records = some()
    write(tmp_path, records)
    journal = tmp_path / "samples-0.journal"
    journal.write_bytes(journal.read_bytes()[:-10])
    assert same(samples.read(tmp_path, DIGEST, MODELS, PICTURES), records[:-1])


def test_parquet_is_compact_and_speaks_in_names(tmp_path: Path) -> None:
    records = np.concatenate([some()] * 500)
    (tmp_path / "samples-0.journal").write_bytes(b"VSLOAD1\n" + bytes.fromhex(DIGEST) + records.tobytes())
    path = samples.merge(tmp_path, DIGEST, MODELS, PICTURES)
    assert path.stat().st_size < 30 * len(records)
    first = parquet.read_table(path).slice(0, 1).to_pylist()[0]
    assert (first["model"], first["outcome"]) == ("vgg16", "rejected")


def test_results_of_another_run_are_refused(tmp_path: Path) -> None:
    write(tmp_path, some())
    with pytest.raises(LoadError, match="another corpus"):
        samples.read(tmp_path, "cd" * 32, MODELS, PICTURES)
    with pytest.raises(LoadError, match="no results"):
        samples.read(tmp_path / "nowhere", DIGEST, MODELS, PICTURES)
