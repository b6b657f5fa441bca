"""Every kind of bomb at full size, alone and beside seven good pictures: it costs its request and a second.

JPEGs both ways, for the fast one reduces what the exact one decodes whole.
"""

from __future__ import annotations

import gc
import time
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
import torch
from tests.support import quick
from tests.support.pictures import bombs
from tests.support.pictures.encoding import encoded, picture

from visionserve.runtime.decoders import limits
from visionserve.runtime.wire.request import Request
from visionserve.runtime.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST = 20_000_000  # bytes: `max_request_size`
MAX_PIXELS = 50_000_000
GOOD = [encoded(picture(100 + 10 * index, 90), "JPEG") for index in range(7)]
KINDS = {**bombs.STRUCTURES, **bombs.COSTLY}
# In seconds, of the good pictures beside a bomb: what it may take of a core, on a machine that tests share.
WAIT = 3.0

pytestmark = pytest.mark.slow


@contextmanager
def opened(decoding: str, project: Path, folder: Path) -> Iterator[Worker]:
    built = quick.build(project, f"quick-bombs-{decoding}", MAX_PIXELS, more=f"  decode: {decoding}\n")
    with zipfile.ZipFile(built.archive.path) as mar:
        mar.extractall(folder)
    worker = Worker.open(folder, device=torch.device("cpu"))
    yield worker
    worker.close()


@pytest.fixture(scope="module")
def exact(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with opened("exact", project, tmp_path_factory.mktemp("exact")) as worker:
        yield worker


@pytest.fixture(scope="module")
def fast(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with opened("fast", project, tmp_path_factory.mktemp("fast")) as worker:
        yield worker


def peak(pid: int) -> int:
    """The most memory, in bytes, that a process has had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def computed(template: psutil.Process) -> float:
    """The seconds that decoders have used of a core, those that have ended too."""
    ended, alive = template.cpu_times(), [child.cpu_times() for child in template.children()]
    return ended.children_user + ended.children_system + sum(times.user + times.system for times in alive)


@pytest.mark.parametrize("name", KINDS)
def test_it_costs_itself_and_a_second(name: str, exact: Worker) -> None:
    require_bounded(name, exact)


@pytest.mark.parametrize("name", [name for name in KINDS if name.startswith("jpeg")])
def test_a_jpeg_that_is_decoded_fast_costs_no_more(name: str, fast: Worker) -> None:
    require_bounded(name, fast)


def require_bounded(name: str, worker: Worker) -> None:
    good = [Request({"body": data}) for data in GOOD]
    before = [response.body for response in worker.answer(good)]
    bomb = Request({"body": KINDS[name](LARGEST)})
    template = psutil.Process(worker._decoders._templates[-1]._process.pid)

    gc.collect()  # of a whole suite's objects that takes half a second, which is not the picture's
    own, decoders = time.process_time(), computed(template)
    (alone,) = worker.answer([bomb])
    allowed = (400,) if name in bombs.STRUCTURES else (200, 400, 413)
    assert alone.status in allowed, alone.body
    assert computed(template) - decoders < limits.CPU_SECONDS + 0.2  # what it takes to end one is told in ticks
    assert time.process_time() - own < 0.5  # the interpreter that answers is not busy with it

    decoders, start = computed(template), time.monotonic()
    together = worker.answer([*good[:3], bomb, *good[3:]])
    assert time.monotonic() - start < WAIT
    assert together.pop(3).status in allowed  # one that takes nearly a second may take more beside others
    assert [response.body for response in together] == before
    assert computed(template) - decoders < limits.CPU_SECONDS + 0.5

    most = limits.MEMORY + limits.BYTES_PER_PIXEL * MAX_PIXELS
    assert all(peak(child.pid) - peak(template.pid) < most for child in template.children())
