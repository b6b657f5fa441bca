"""A full queue fits Java's heap, or is refused with the numbers."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.conftest import REPOSITORY

from visionserve.server.errors import ServerError
from visionserve.server.settings import heap, job_queue
from visionserve.server.settings.properties import Properties
from visionserve.server.settings.serving import LimitSettings

if TYPE_CHECKING:
    from pathlib import Path

GIB = 1 << 30


@pytest.fixture
def shipped() -> Properties:
    return Properties.read(REPOSITORY / "config.properties")


def archives(folder: Path, **queues: int | None) -> dict[str, Path]:
    """Archives with nothing in them but the YAML that says how many requests may wait."""
    made = {}
    for name, queue in queues.items():
        made[name] = folder / f"{name}.mar"
        with zipfile.ZipFile(made[name], "w") as mar:
            mar.writestr("model-config.yaml", "minWorkers: 1\n" + (f"jobQueueSize: {queue}\n" if queue else ""))
    return made


@pytest.mark.parametrize(
    ("vmargs", "size"),
    [
        ("-Xmx2g", 2 * GIB),
        ("-Xmx2G", 2 * GIB),
        ("-Xmx512m", GIB // 2),
        ("-Xmx1073741824", GIB),
        ("-Xmx1g -XX:+UseG1GC -Xmx2g", 2 * GIB),
        ("-XX:MaxHeapSize=3g", 3 * GIB),
    ],
)
def test_the_heap_is_as_java_understands_it(vmargs: str, size: int, shipped: Properties) -> None:
    assert heap.size(shipped.replace(vmargs=vmargs)) == size


def test_without_a_word_it_is_a_share_of_the_memory(shipped: Properties) -> None:
    quarter = heap.size(shipped.replace(vmargs="-XX:+UseG1GC"))
    assert 0 < quarter <= psutil.virtual_memory().total // 4
    assert heap.size(shipped.replace(vmargs="-XX:MaxRAMPercentage=50")) == pytest.approx(2 * quarter, rel=0.01)


def test_a_heap_that_is_none_is_named(shipped: Properties) -> None:
    with pytest.raises(ServerError, match=r"vmargs has -Xmx2gb: it must be a size such as -Xmx2g"):
        heap.size(shipped.replace(vmargs="-Xmx2gb"))


def test_what_is_shipped_holds_the_queue_of_one_model(shipped: Properties, tmp_path: Path) -> None:
    assert heap.require_room(shipped, archives(tmp_path, flowers=100)) is None


def test_a_queue_that_the_heap_does_not_hold_is_refused_with_the_numbers(
    shipped: Properties, tmp_path: Path
) -> None:
    properties = shipped.replace(vmargs="-Xmx1g", max_request_size="20000000")
    said = (
        r"flowers: 100 requests may wait \(jobQueueSize\), each of 20\.0 MB \(max_request_size\): 2\.0 GB .* more"
        r" than its heap of 1\.1 GB, so clients could end the server; write -Xmx\d+m into vmargs"
    )
    with pytest.raises(ServerError, match=said) as refused:
        heap.require_room(properties, archives(tmp_path, flowers=100))
    advised = str(refused.value).split("write ")[1].split()[0]
    assert heap.require_room(properties.replace(vmargs=advised), archives(tmp_path, flowers=100)) is None
    assert heap.require_room(properties, archives(tmp_path, flowers=40)) is None


def test_queues_that_fit_alone_and_not_together_are_said(shipped: Properties, tmp_path: Path) -> None:
    said = heap.require_room(shipped, archives(tmp_path, flowers=100, trees=100))
    assert said is not None
    assert said.startswith("the full queues of flowers, trees together are 4.0 GB")
    advised = said.split("write ")[1].split()[0]
    assert heap.require_room(shipped.replace(vmargs=advised), archives(tmp_path, flowers=100, trees=100)) is None


def test_an_archive_without_a_queue_has_that_of_the_server(shipped: Properties, tmp_path: Path) -> None:
    properties = shipped.replace(vmargs="-Xmx1g")
    assert heap.require_room(properties.replace(job_queue_size="10"), archives(tmp_path, flowers=None)) is None
    with pytest.raises(ServerError, match="100 requests may wait"):
        heap.require_room(properties, archives(tmp_path, flowers=None))
    with pytest.raises(ServerError, match="100 requests may wait"):
        heap.require_room(properties.replace(job_queue_size="10"), archives(tmp_path, flowers=100))


@pytest.mark.parametrize(
    ("queue", "concurrent", "short"), [(None, 64, False), (80, 64, True), (81, 64, False), (1, 1, True)]
)
def test_a_queue_shorter_than_what_comes_at_once_is_told(
    queue: int | None, concurrent: int, short: bool, shipped: Properties, tmp_path: Path
) -> None:
    said = job_queue.complaint(shipped, archives(tmp_path, flowers=queue), LimitSettings(concurrent=concurrent))
    assert (said is not None) == short
    if said is not None:
        assert said.startswith(
            f"flowers: {queue} requests may wait (jobQueueSize), and an instance is given up to"
        )
